//! Connections: so many at once, each for so long, and an orderly end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::answer::Door;

/// More wait in the system's own queue.
const AT_ONCE: usize = 64;
/// From the first byte of a request to the end of its headers, and between two requests.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// However slowly somebody reads.
const CONNECTION_WITHIN: Duration = Duration::from_secs(60);
/// What was begun before the end is answered within this time.
const LAST_WITHIN: Duration = Duration::from_secs(10);
const LARGEST_HEADERS: usize = 16 << 10;
const MOST_HEADERS: usize = 64;

pub(super) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Until somebody asks for the end; then what was begun is brought to its own.
pub(super) async fn serve(listener: TcpListener, door: Arc<Door>, ending: &AtomicBool) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let (end, ended) = watch::channel(false);
    let mut open: JoinSet<()> = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // No more files may be opened, for one: others will be closed.
                    tracing::warn!("a connection could not be taken: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = asked(ending) => break,
        };
        while open.try_join_next().is_some() {}
        let (door, ended) = (Arc::clone(&door), ended.clone());
        open.spawn(async move {
            converse(stream, door, ended).await;
            drop(permit);
        });
        if ending.load(Ordering::Relaxed) {
            break;
        }
    }
    drop(listener);
    let _ = end.send(true);
    let all = async { while open.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_WITHIN, all).await;
}

async fn asked(ending: &AtomicBool) {
    while !ending.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn converse(stream: TcpStream, door: Arc<Door>, mut ended: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(&request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(LARGEST_HEADERS).max_headers(MOST_HEADERS);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let too_long = tokio::time::sleep(CONNECTION_WITHIN);
    tokio::pin!(too_long);
    loop {
        tokio::select! {
            // What a client does wrong is its own affair.
            _ = connection.as_mut() => return,
            () = too_long.as_mut() => return,
            changed = ended.changed() => {
                connection.as_mut().graceful_shutdown();
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}
