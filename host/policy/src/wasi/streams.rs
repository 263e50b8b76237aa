//! Streams and polls that never wait. `wasmtime-wasi` has implementations that do, in a runtime of their own.

use bytes::Bytes;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::cli::{stderr, stdout};
use wasmtime_wasi::p2::bindings::io as waiting;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, OutputStream, Pollable, StreamError, StreamResult,
};

use super::{WouldBlock, immediately};
use crate::journal::{Journal, Stream};
use crate::state::State;

/// How much may be written at one time. Bounds what the host allocates for `write-zeroes`.
const PERMIT: usize = 4096;

/// The instance's resources, used without waiting.
pub struct Immediate<'a>(&'a mut ResourceTable);

/// Gives out standard output and error.
pub struct Output<'a> {
    journal: Journal,
    table: &'a mut ResourceTable,
}

/// A stream that ends in the journal.
struct Console {
    stream: Stream,
    journal: Journal,
}

// === impl Immediate ===

impl Immediate<'_> {
    /// The resources of an instance.
    pub fn of(state: &mut State) -> Immediate<'_> {
        Immediate(&mut state.wasi().table)
    }
}

impl HasData for Immediate<'static> {
    type Data<'a> = Immediate<'a>;
}

impl poll::Host for Immediate<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        immediately(waiting::poll::Host::poll(self.0, pollables))?
    }
}

impl poll::HostPollable for Immediate<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        immediately(waiting::poll::HostPollable::ready(self.0, pollable))?
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        immediately(waiting::poll::HostPollable::block(self.0, pollable))?
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        waiting::poll::HostPollable::drop(self.0, pollable)
    }
}

impl streams::Host for Immediate<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.0, error)
    }
}

impl streams::HostInputStream for Immediate<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<Vec<u8>> {
        waiting::streams::HostInputStream::read(self.0, stream, count)
    }

    fn blocking_read(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<Vec<u8>> {
        immediately(waiting::streams::HostInputStream::blocking_read(self.0, stream, count))?
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<u64> {
        waiting::streams::HostInputStream::skip(self.0, stream, count)
    }

    fn blocking_skip(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<u64> {
        immediately(waiting::streams::HostInputStream::blocking_skip(self.0, stream, count))?
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        waiting::streams::HostInputStream::subscribe(self.0, stream)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        immediately(waiting::streams::HostInputStream::drop(self.0, stream))?
    }
}

impl streams::HostOutputStream for Immediate<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        waiting::streams::HostOutputStream::check_write(self.0, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        waiting::streams::HostOutputStream::write(self.0, stream, bytes)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        immediately(waiting::streams::HostOutputStream::blocking_write_and_flush(self.0, stream, bytes))?
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        waiting::streams::HostOutputStream::flush(self.0, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        immediately(waiting::streams::HostOutputStream::blocking_flush(self.0, stream))?
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        waiting::streams::HostOutputStream::subscribe(self.0, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, count: u64) -> StreamResult<()> {
        waiting::streams::HostOutputStream::write_zeroes(self.0, stream, count)
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<DynOutputStream>, count: u64) -> StreamResult<()> {
        immediately(waiting::streams::HostOutputStream::blocking_write_zeroes_and_flush(self.0, stream, count))?
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<u64> {
        waiting::streams::HostOutputStream::splice(self.0, to, from, count)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<u64> {
        immediately(waiting::streams::HostOutputStream::blocking_splice(self.0, to, from, count))?
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        immediately(waiting::streams::HostOutputStream::drop(self.0, stream))?
    }
}

// === impl Output ===

impl Output<'_> {
    /// The streams of an instance.
    pub fn of(state: &mut State) -> Output<'_> {
        Output { journal: state.journal.clone(), table: &mut state.wasi().table }
    }

    fn open(&mut self, stream: Stream) -> wasmtime::Result<Resource<DynOutputStream>> {
        let console: DynOutputStream = Box::new(Console { stream, journal: self.journal.clone() });
        Ok(self.table.push(console)?)
    }
}

impl HasData for Output<'static> {
    type Data<'a> = Output<'a>;
}

impl stdout::Host for Output<'_> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.open(Stream::Out)
    }
}

impl stderr::Host for Output<'_> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.open(Stream::Err)
    }
}

// === impl Console ===

#[async_trait]
impl Pollable for Console {
    async fn ready(&mut self) {}
}

impl OutputStream for Console {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.journal.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl From<WouldBlock> for StreamError {
    fn from(error: WouldBlock) -> Self {
        StreamError::Trap(error.into())
    }
}
