//! WASI 0.2 for policies whose language needs it: nothing is there, and nothing differs between two runs.
//!
//! ```text
//!   from wasmtime-wasi       cli (no arguments, no environment), filesystem (nothing preopened), sockets
//!   sockets.rs               making one is denied
//!   clocks.rs                the time of the decision, which stands still; a sleep is over at once
//!   random.rs                numbers that follow from the seed
//!   streams.rs               standard output and error go to the journal; nothing blocks the thread
//! ```

mod clocks;
mod random;
mod sockets;
mod streams;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{self, cli, filesystem, sync};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::state::{Moment, State};
use clocks::Stopped;
use random::Chance;
use sockets::Denied;
use streams::{Immediate, Output};

/// Streams, polls and errors that a policy may hold at one time.
const MOST_RESOURCES: usize = 10_000;

/// What one instance needs.
pub struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    chance: Chance,
}

/// A policy asked the host to wait for something that never comes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it waits for something that never comes: a policy has no input, no files and no network")]
pub struct WouldBlock;

// === impl Wasi ===

impl Wasi {
    /// Nothing at all.
    pub fn new(moment: Moment) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        Self { context: WasiCtx::builder().build(), table, chance: Chance::new(moment.seed) }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi();
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

/// Adds the interfaces of `wasi:cli/imports`.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use bindings::clocks::{monotonic_clock, wall_clock};
    use bindings::random::{insecure, insecure_seed, random};
    use bindings::sockets::{instance_network, ip_name_lookup, network, tcp_create_socket};

    let l = linker;
    monotonic_clock::add_to_linker::<_, Stopped<'static>>(l, Stopped::of)?;
    wall_clock::add_to_linker::<_, Stopped<'static>>(l, Stopped::of)?;
    random::add_to_linker::<_, HasSelf<Chance>>(l, |state| &mut state.wasi().chance)?;
    insecure::add_to_linker::<_, HasSelf<Chance>>(l, |state| &mut state.wasi().chance)?;
    insecure_seed::add_to_linker::<_, HasSelf<Chance>>(l, |state| &mut state.wasi().chance)?;

    bindings::io::error::add_to_linker::<_, HasSelf<ResourceTable>>(l, |state| &mut state.wasi().table)?;
    sync::io::poll::add_to_linker::<_, Immediate<'static>>(l, Immediate::of)?;
    sync::io::streams::add_to_linker::<_, Immediate<'static>>(l, Immediate::of)?;

    cli::exit::add_to_linker::<_, WasiCli>(l, WasiCliView::cli)?;
    cli::environment::add_to_linker::<_, WasiCli>(l, WasiCliView::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, WasiCliView::cli)?;
    cli::stdout::add_to_linker::<_, Output<'static>>(l, Output::of)?;
    cli::stderr::add_to_linker::<_, Output<'static>>(l, Output::of)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, WasiCliView::cli)?;

    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, WasiFilesystemView::filesystem)?;
    sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(l, WasiFilesystemView::filesystem)?;

    tcp_create_socket::add_to_linker::<_, Denied>(l, |_| Denied)?;
    sync::sockets::udp_create_socket::add_to_linker::<_, Denied>(l, |_| Denied)?;
    instance_network::add_to_linker::<_, WasiSockets>(l, WasiSocketsView::sockets)?;
    network::add_to_linker::<_, WasiSockets>(l, &Default::default(), WasiSocketsView::sockets)?;
    ip_name_lookup::add_to_linker::<_, WasiSockets>(l, WasiSocketsView::sockets)?;
    sync::sockets::tcp::add_to_linker::<_, WasiSockets>(l, WasiSocketsView::sockets)?;
    sync::sockets::udp::add_to_linker::<_, WasiSockets>(l, WasiSocketsView::sockets)
}

/// The result of what is ready. The host waits for nobody: epochs do not interrupt it, and the thread may
/// belong to an asynchronous runtime.
fn immediately<T>(future: impl Future<Output = T>) -> Result<T, WouldBlock> {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => Err(WouldBlock),
    }
}
