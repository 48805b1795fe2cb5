use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A mail server that answers as a test wants.
pub(crate) struct SmtpServer {
    address: SocketAddr,
    taken: watch::Receiver<Vec<String>>,
    gate: Arc<Gate>,
}

/// Where mails wait that were sent, and not yet taken.
struct Gate {
    is_open: watch::Sender<bool>,
    before: watch::Sender<usize>,
}

/// What is said to a recipient.
type Reply = dyn Fn(&str) -> &'static str + Send + Sync;

impl SmtpServer {
    /// Starts one that answers each recipient with a whole line.
    pub(crate) async fn start(reply: impl Fn(&str) -> &'static str + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, taken) = watch::channel(Vec::new());
        let reply: Arc<Reply> = Arc::new(reply);
        let gate = Arc::new(Gate { is_open: watch::Sender::new(true), before: watch::Sender::new(0) });
        let of_server = Arc::clone(&gate);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (sender, reply, gate) = (sender.clone(), Arc::clone(&reply), Arc::clone(&of_server));
                // A peer that goes away is its own affair.
                tokio::spawn(async move { drop(serve(client, &*reply, &gate, &sender).await) });
            }
        });
        Self { address, taken, gate }
    }

    /// What the settings say of it.
    pub(crate) fn url(&self) -> url::Url {
        format!("smtp://{}", self.address).parse().unwrap()
    }

    /// Waits until it has taken a mail for `recipient`.
    pub(crate) async fn takes(&self, recipient: &str) {
        let mut taken = self.taken.clone();
        taken.wait_for(|taken| taken.iter().any(|one| one == recipient)).await.unwrap();
    }

    /// From now on lets whoever sends a mail wait for the word that it was taken.
    pub(crate) fn hold(&self) {
        self.gate.is_open.send_replace(false);
    }

    /// Waits until somebody waits for that.
    pub(crate) async fn holds_one(&self) {
        self.gate.before.subscribe().wait_for(|before| *before > 0).await.unwrap();
    }

    /// Gives everybody the word.
    pub(crate) fn release(&self) {
        self.gate.is_open.send_replace(true);
    }

    /// For whom it has taken mail so far.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.taken.borrow().clone()
    }
}

async fn serve(client: TcpStream, reply: &Reply, gate: &Gate, taken: &watch::Sender<Vec<String>>) -> io::Result<()> {
    let (from, mut to) = client.into_split();
    let mut lines = BufReader::new(from).lines();
    let (mut recipients, mut in_data) = (Vec::new(), false);
    to.write_all(b"220 test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match (in_data, line.split([' ', ':']).next().unwrap_or_default()) {
            (true, ".") => {
                in_data = false;
                gate.before.send_modify(|before| *before += 1);
                // The gate lives as long as the server.
                let _ = gate.is_open.subscribe().wait_for(|is_open| *is_open).await;
                taken.send_modify(|taken| taken.append(&mut recipients));
                "250 2.0.0 taken"
            }
            (true, _) => continue,
            (false, "RCPT") => {
                let recipient = line.split(['<', '>']).nth(1).unwrap_or_default();
                let answer = reply(recipient);
                if answer.starts_with("250") {
                    recipients.push(recipient.to_owned());
                }
                answer
            }
            (false, "DATA") => {
                in_data = true;
                "354 go on"
            }
            (false, "RSET" | "MAIL") => {
                recipients.clear();
                "250 2.0.0 fine"
            }
            (false, "QUIT") => "221 2.0.0 bye",
            (false, _) => "250 2.0.0 fine",
        };
        to.write_all(format!("{answer}\r\n").as_bytes()).await?;
        if answer.starts_with("221") || answer.starts_with("421") {
            return Ok(());
        }
    }
    Ok(())
}
