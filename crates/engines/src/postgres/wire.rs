//! The byte stream to a server: TCP or a unix socket, opened by us, so that errors name the place and a cancel can
//! wait until the server has taken note of it.

use super::address::Host;
use crate::DbError;
use dunlin_core::failure::ErrorClass;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Bytes that are taken from the socket at once. The driver asks for 8 KiB at a time, and a trip into the kernel for each
/// of them costs more than what is read.
const READ: usize = 128 << 10;

/// A connected stream.
pub(super) struct Wire(Box<dyn Duplex>);

impl Wire {
    async fn connect(host: &Host) -> io::Result<Wire> {
        match host {
            Host::Tcp(name, port) => {
                let stream = tokio::net::TcpStream::connect((name.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Wire(Box::new(BufReader::with_capacity(READ, stream))))
            }
            #[cfg(unix)]
            Host::Unix(folder, port) => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                let stream = tokio::net::UnixStream::connect(path).await?;
                Ok(Wire(Box::new(BufReader::with_capacity(READ, stream))))
            }
            #[cfg(not(unix))]
            Host::Unix(..) => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Connects.
    pub(super) async fn open(host: &Host, patience: Duration) -> Result<Wire, DbError> {
        match tokio::time::timeout(patience, Wire::connect(host)).await {
            Ok(Ok(wire)) => Ok(wire),
            Ok(Err(error)) => Err(DbError::new(
                ErrorClass::Unreachable,
                format!("nobody answers at {}: {error}", place(host)),
            )),
            Err(_) => Err(DbError::new(
                ErrorClass::Unreachable,
                format!("nobody answered at {} within {patience:?}", place(host)),
            )),
        }
    }
}

/// How a place is shown.
pub(super) fn place(host: &Host) -> String {
    match host {
        Host::Tcp(name, port) if name.contains(':') => format!("[{name}]:{port}"),
        Host::Tcp(name, port) => format!("{name}:{port}"),
        Host::Unix(folder, port) => format!("{}/.s.PGSQL.{port}", folder.display()),
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}
impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

/// A stream whose shutdown waits for the other side's end: the server closes a cancel request's connection after it
/// has signalled the session.
pub(super) struct UntilEnd(pub(super) Wire, pub(super) bool);

impl AsyncRead for UntilEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
impl AsyncWrite for UntilEnd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.1 {
            ready!(Pin::new(&mut self.0).poll_shutdown(cx))?;
            self.1 = true;
        }
        loop {
            let mut space = [0u8; 256];
            let mut buf = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                // The end, or a reset: either way the server is done with the request.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
