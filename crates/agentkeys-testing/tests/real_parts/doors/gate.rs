use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The way to a server, which a test can cut.
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
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut open = is_open.clone();
        if !*open.borrow_and_update() {
            refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        tokio::spawn(async move {
            let mut server = TcpStream::connect(server).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                _ = open.wait_for(|is_open| !is_open) => {}
            }
        });
    }
}
