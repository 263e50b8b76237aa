//! Where policies are loaded.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use plimsoll_model::{Bytes, Text};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::bindings::Policy;
use crate::contract::{Role, SPOKEN};
use crate::engine::{Allocation, SLOTS, engine};
use crate::inspection::Inspection;
use crate::module::{Module, ModuleKind, chain};
use crate::program::Program;
use crate::slots::Slots;
use crate::state::State;
use crate::{Failure, Limits, ticker, wasi};

/// Loads policies and runs them apart from everything else. Cheap to clone; one for a process is enough.
///
/// A thread ends calls that take too long. It lives as long as the sandbox or a program that it loaded.
#[derive(Clone)]
pub struct Sandbox {
    engine: Engine,
    allocation: Allocation,
    /// For policies that import the contract and nothing else.
    pure: Arc<Linker<State>>,
    /// For policies that import WASI too.
    wasi: Arc<Linker<State>>,
    slots: Arc<Slots>,
}

// === impl Sandbox ===

impl Sandbox {
    /// A sandbox, with a pool of instances where the system has room for one.
    pub fn new() -> Result<Self, Failure> {
        let (engine, allocation) = engine()?;
        ticker::start(&engine).map_err(|error| Failure::Load(format!("no thread for the time limit: {error}")))?;
        let pure = linker(&engine)?;
        let mut with_wasi = linker(&engine)?;
        wasi::add_to_linker(&mut with_wasi).map_err(|error| internal(&error))?;
        let slots = Arc::new(Slots::new(SLOTS));
        Ok(Self { engine, allocation, pure: Arc::new(pure), wasi: Arc::new(with_wasi), slots })
    }

    /// Where instances live.
    pub fn allocation(&self) -> Allocation {
        self.allocation
    }

    /// Makes a module a policy with these settings, which are JSON text, and limits. The module is a component,
    /// or a core module that carries its component type.
    ///
    /// Compiles, which takes from milliseconds to seconds of more than one core.
    pub fn load(&self, wasm: &[u8], settings: &str, limits: Limits) -> Result<Program, Failure> {
        guarded(|| {
            let module = Module::read(wasm, self.engine.get_wasm_features())?;
            let role = module.names.role()?;
            let component = self.compile(&module)?;
            self.link(&component, role, digest(wasm), settings, limits)
        })
    }

    /// What a module is, and whether it would load. Settings are not looked at.
    pub fn inspect(&self, wasm: &[u8]) -> Inspection {
        let mut inspection = Inspection::new(ModuleKind::of(wasm), digest(wasm), Bytes(wasm.len() as u64));
        inspection.failure = guarded(|| self.look(wasm, &mut inspection)).err();
        inspection
    }

    fn look(&self, wasm: &[u8], inspection: &mut Inspection) -> Result<(), Failure> {
        let module = Module::read(wasm, self.engine.get_wasm_features())?;
        inspection.producers = module.producers.clone();
        inspection.exports = module.names.exports.clone();
        inspection.imports = module.names.imports.clone();
        inspection.contract = module.names.versions();
        let role = module.names.role()?;
        inspection.points = role.points.clone();
        inspection.takes_settings = role.settings;
        let begin = Instant::now();
        let component = self.compile(&module)?;
        inspection.compile_micros = Some(u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX));
        match self.link(&component, role, inspection.digest.clone(), "{}", Limits::default()) {
            // It may need some; whoever inspects it has none to give.
            Ok(_) | Err(Failure::Settings(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    fn compile(&self, module: &Module<'_>) -> Result<Component, Failure> {
        Component::new(&self.engine, &module.component)
            .map_err(|error| Failure::Load(format!("does not compile: {}", chain(error.chain()))))
    }

    fn link(
        &self,
        component: &Component,
        role: Role,
        digest: Text,
        settings: &str,
        limits: Limits,
    ) -> Result<Program, Failure> {
        let linker = if role.wasi { &self.wasi } else { &self.pure };
        let pre = linker.instantiate_pre(component).map_err(|error| {
            let cause = chain(error.chain());
            Failure::Contract(format!("imports what this host, which speaks {SPOKEN}.x, does not have: {cause}"))
        })?;
        Program::link(pre, self.slots.clone(), role.points, digest, settings, limits)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("allocation", &self.allocation).finish_non_exhaustive()
    }
}

fn linker(engine: &Engine) -> Result<Linker<State>, Failure> {
    let mut linker = Linker::new(engine);
    Policy::add_to_linker::<_, wasmtime::component::HasSelf<State>>(&mut linker, |state| state)
        .map_err(|error| internal(&error))?;
    Ok(linker)
}

/// A module that makes the compiler panic is one that does not load.
fn guarded<T>(load: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(load))
        .unwrap_or_else(|_| Err(Failure::Load("the host failed while it read the module, a bug of Plimsoll".into())))
}

fn digest(wasm: &[u8]) -> Text {
    let hash = Sha256::digest(wasm);
    Text::from(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn internal(error: &wasmtime::Error) -> Failure {
    Failure::Load(format!("the host's own functions do not fit together, a bug of Plimsoll: {error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_host_is_a_failure() {
        let failure = guarded::<()>(|| panic!("on purpose")).unwrap_err();
        assert_eq!(failure.label(), "load");
    }
}
