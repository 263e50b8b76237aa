//! The file of a policy, read and checked before anything of it is compiled.

use std::borrow::Cow;

use plimsoll_model::Bytes;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentTypeRef, Encoding, KnownCustom, Parser, Payload, Validator,
    WasmFeatures,
};
use wit_component::ComponentEncoder;

use crate::Failure;
use crate::contract::Names;

/// The largest file. Policies of interpreted languages bring 10 to 40 MiB.
pub const LARGEST: Bytes = Bytes(64 << 20);

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// A component.
    Component,
    /// A core module that carries its component type.
    CoreModule,
    /// A core module without one, which says nothing of what it exports.
    BareModule,
    /// No WebAssembly.
    Unknown,
}

/// A tool or language that had a part in a module, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// For example `rustc`.
    pub name: String,
    /// Its version; may be empty.
    pub version: String,
}

/// A file that is a valid component, or has been made one.
#[derive(Debug)]
pub struct Module<'a> {
    /// What it exports and imports.
    pub names: Names,
    /// Who made it.
    pub producers: Vec<Producer>,
    /// The component.
    pub component: Cow<'a, [u8]>,
}

/// What a walk over a component gathers.
#[derive(Debug, Default)]
struct Walk {
    names: Names,
    producers: Vec<Producer>,
    depth: u32,
    /// A function crosses the boundary of a component within the component.
    inner_calls: bool,
    /// Strings in UTF-16 or Latin-1.
    wide_strings: bool,
}

// === impl ModuleKind ===

impl ModuleKind {
    /// What these bytes are, by their first section.
    pub fn of(wasm: &[u8]) -> Self {
        if Parser::is_component(wasm) {
            return Self::Component;
        }
        if !Parser::is_core_wasm(wasm) {
            return Self::Unknown;
        }
        let typed = |payload: Payload<'_>| match payload {
            Payload::CustomSection(section) => section.name().starts_with("component-type"),
            _ => false,
        };
        let sections = Parser::new(0).parse_all(wasm);
        match sections.map_while(Result::ok).any(typed) {
            true => Self::CoreModule,
            false => Self::BareModule,
        }
    }
}

// === impl Module ===

impl<'a> Module<'a> {
    /// Reads a file.
    pub fn read(wasm: &'a [u8], features: WasmFeatures) -> Result<Self, Failure> {
        if wasm.len() as u64 > LARGEST.0 {
            let size = Bytes(wasm.len() as u64);
            return Err(Failure::Load(format!("the file has {size}; {LARGEST} is the most")));
        }
        let component = match ModuleKind::of(wasm) {
            ModuleKind::Component => Cow::Borrowed(wasm),
            ModuleKind::CoreModule => Cow::Owned(encode(wasm)?),
            ModuleKind::BareModule => {
                return Err(Failure::Contract(
                    "a core module that does not say what it exports; build it with bindings that wit-bindgen made \
                     (they embed the component type), or give the component that `wasm-tools component new` makes"
                        .into(),
                ));
            }
            ModuleKind::Unknown => {
                return Err(Failure::Load(
                    "no WebAssembly: the file does not begin with `\\0asm` and a version that this host knows".into(),
                ));
            }
        };
        let walk = Walk::over(&component, features)?;
        if walk.inner_calls && walk.wide_strings {
            // The code between two components that recodes strings has had the worst holes of its kind.
            let rule = "a component made of several components must use UTF-8 for its strings";
            return Err(Failure::Contract(rule.into()));
        }
        Ok(Self { names: walk.names, producers: walk.producers, component })
    }
}

fn encode(wasm: &[u8]) -> Result<Vec<u8>, Failure> {
    let encoded = ComponentEncoder::default().validate(false).module(wasm).and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| {
        let advice = "as it stands the module cannot be made a component";
        Failure::Contract(format!("{advice}: {}", chain(error.chain())))
    })
}

/// The messages of an error and its causes in one line.
pub fn chain<E: std::fmt::Display>(errors: impl Iterator<Item = E>) -> String {
    let lines: Vec<String> = errors.map(|error| error.to_string().replace('\n', " ")).collect();
    lines.join(": ")
}

// === impl Walk ===

impl Walk {
    fn over(component: &[u8], features: WasmFeatures) -> Result<Self, Failure> {
        let invalid = |error: wasmparser::BinaryReaderError| {
            Failure::Load(format!("invalid WebAssembly at byte {:#x}: {}", error.offset(), error.message()))
        };
        let mut walk = Self::default();
        let mut validator = Validator::new_with_features(features);
        let mut allocations = wasmparser::FuncValidatorAllocations::default();
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(invalid)?;
            walk.visit(&payload).map_err(invalid)?;
            if let wasmparser::ValidPayload::Func(function, body) = validator.payload(&payload).map_err(invalid)? {
                let mut function = function.into_validator(allocations);
                function.validate(&body).map_err(invalid)?;
                allocations = function.into_allocations();
            }
        }
        walk.producers.sort();
        walk.producers.dedup();
        Ok(walk)
    }

    fn visit(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => self.depth += 1,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if self.depth == 1 => {
                for import in imports.clone() {
                    let import = import?;
                    // A type alone gives nothing to call.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        self.names.imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(exports) if self.depth == 1 => {
                for export in exports.clone() {
                    self.names.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions.clone() {
                    self.canonical(&function?);
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Producers(fields) = section.as_known() {
                    // Free text that nothing depends on: what cannot be read is left out.
                    self.producers.extend(fields.into_iter().flatten().flat_map(producers));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn canonical(&mut self, function: &CanonicalFunction) {
        let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) = function else {
            return;
        };
        self.inner_calls |= self.depth > 1;
        let wide = |option: &CanonicalOption| matches!(option, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16);
        self.wide_strings |= options.iter().any(wide);
    }
}

fn producers(field: wasmparser::ProducersField<'_>) -> Vec<Producer> {
    let values = field.values.into_iter().flatten();
    let producer = |value: wasmparser::ProducersFieldValue<'_>| Producer {
        field: field.name.to_owned(),
        name: value.name.to_owned(),
        version: value.version.to_owned(),
    };
    values.map(producer).collect()
}
