//! A connection whose peer has to take what it asked for. It may be as slow as it has to be, over a thin line; one that takes
//! nothing at all holds a place, and a list in memory, for nobody.
//!
//! The kernel has such a limit, `TCP_USER_TIMEOUT`; it is not used because Linux counts it for a slow reader too, whose window
//! stays smaller than a segment, and cuts him off while he reads.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A socket on which a write that makes no progress fails. Reading is as it was.
#[derive(Debug)]
pub(super) struct Steady<S> {
    stream: S,
    patience: Duration,
    /// Since the last write that had to wait.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Steady<S> {
    /// A write may wait for `patience` until the peer takes some of it.
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stalled: None }
    }

    fn timed(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        stalled.as_mut().poll(cx).map(|()| {
            let why = format!("the peer took nothing of what it asked for in {} seconds", patience.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Steady<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

/// Of a socket only writes wait: it has nothing to flush.
impl<S: AsyncWrite + Unpin> AsyncWrite for Steady<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.timed(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn pair() -> (Steady<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(100);
        (Steady::new(ours, PATIENCE), theirs)
    }

    /// Fails when a reader who stops is waited for, at the beginning or after he has read some.
    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off() {
        for first in [0, 250] {
            let (mut ours, mut theirs) = pair();
            let begin = Instant::now();
            let (sent, _) = tokio::join!(ours.write_all(&[7; 1000]), async {
                sleep(PATIENCE / 2).await;
                theirs.read_exact(&mut vec![0; first]).await
            });
            assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
            let waited = if first == 0 { PATIENCE } else { PATIENCE / 2 + PATIENCE };
            assert!(begin.elapsed().abs_diff(waited) < Duration::from_millis(5), "{:?}", begin.elapsed());
        }
    }

    /// Fails when there is a limit on the whole, or on the time in which there is nothing to send.
    #[tokio::test(start_paused = true)]
    async fn who_is_slow_gets_everything() {
        let (mut ours, mut theirs) = pair();
        let sent = vec![7; 1000];
        let (outcome, got) = tokio::join!(
            async {
                ours.write_all(&sent).await?;
                sleep(PATIENCE * 100).await;
                ours.write_all(&sent).await
            },
            async {
                let mut got = Vec::new();
                while got.len() < 2 * sent.len() {
                    sleep(PATIENCE - Duration::from_secs(1)).await;
                    let mut some = [0; 10];
                    let read = theirs.read(&mut some).await.unwrap();
                    got.extend_from_slice(&some[..read]);
                }
                got
            }
        );
        outcome.unwrap();
        assert_eq!(got, [7; 2000]);
    }
}
