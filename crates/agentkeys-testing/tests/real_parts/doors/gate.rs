use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The way to a server that is asked in text alone; a test can cut it.
pub(crate) struct Gate {
    address: SocketAddr,
    is_open: watch::Sender<bool>,
    refused: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Gate {
    /// An open one before the server at `url`.
    pub(crate) async fn before(url: &str) -> Self {
        let server: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, is_open) = (listener.local_addr().unwrap(), watch::Sender::new(true));
        let refused = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(pass_on(listener, server, is_open.subscribe(), Arc::clone(&refused)));
        Self { address, is_open, refused, task }
    }

    /// Where the server seems to be.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on nobody gets through, nor goes on.
    pub(crate) fn close(&self) {
        self.is_open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.is_open.send_replace(true);
    }

    /// How many have come while it was closed.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(listener: TcpListener, server: SocketAddr, is_open: watch::Receiver<bool>, refused: Arc<AtomicUsize>) {
    let own = listener.local_addr().unwrap().to_string();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut open = is_open.clone();
        if !*open.borrow_and_update() {
            refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let own = own.clone();
        tokio::spawn(async move {
            let mut there = TcpStream::connect(server).await.unwrap();
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = there.split();
            let requests = async {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    // The server answers to its own name only.
                    let part = String::from_utf8_lossy(&buffer[..count]).replace(&own, &server.to_string());
                    to_server.write_all(part.as_bytes()).await.unwrap();
                }
            };
            tokio::select! {
                () = requests => {}
                _ = copy(&mut from_server, &mut to_client) => {}
                _ = open.wait_for(|is_open| !is_open) => {}
            }
        });
    }
}
