//! Many callers at once, and callers that go away.

use std::path::Path;

use agentkeys_api::daemon;
use agentkeys_testing::System;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::{
    fake_sts::{FakeSts, Manner},
    machine::{Machine, SOON, ask},
};

/// A caller that has asked, and waits.
struct Caller<S>(S);

impl Caller<UnixStream> {
    async fn at(socket: &Path) -> Self {
        let target = format!("{}?profile=default", daemon::CREDENTIALS);
        Self::ask(UnixStream::connect(socket).await.unwrap(), &target, "Host: localhost\r\n").await
    }
}

impl Caller<TcpStream> {
    async fn at_endpoint(url: &str, token: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        let target = daemon::CONTAINER.replace("{role}", "default");
        let headers = format!("Host: {address}\r\nAuthorization: {token}\r\n");
        Self::ask(TcpStream::connect(address).await.unwrap(), &target, &headers).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<S> {
    async fn ask(mut stream: S, target: &str, headers: &str) -> Self {
        let request = format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream)
    }

    async fn answer(mut self) -> String {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn two_hundred_callers_at_the_moment_of_expiry_make_one_call_of_the_sts() {
    let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(4)).await);
    let (machine, _) = Machine::signed_in(&system, &sts.url, 4).await;
    machine.set("[daemon]\nlisten = \"127.0.0.1:0\"\n");
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();
    let held = sts.hold().await;
    sts.tell(Manner::Gives(900));
    let client = machine.client();
    let endpoint = client.status().await.unwrap().endpoint.unwrap();
    let token = std::fs::read_to_string(machine.socket().with_file_name("authorization-token")).unwrap();
    let until_over = async { while client.status().await.unwrap().credentials_expire_at.is_some() {} };
    tokio::time::timeout(SOON, until_over).await.unwrap();

    let (mut at_socket, mut at_endpoint) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        at_socket.push(Caller::at(&machine.socket()).await);
        at_endpoint.push(Caller::at_endpoint(&endpoint, &token).await);
    }
    drop(held);
    let mut answers = Vec::new();
    for caller in at_socket {
        answers.push(caller.answer().await);
    }
    for caller in at_endpoint {
        answers.push(caller.answer().await);
    }

    let others: Vec<_> = answers.iter().filter(|answer| !answer.contains("\"ASIA2\"")).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(sts.asked(), 2);
}

#[tokio::test]
async fn what_was_begun_for_a_caller_who_went_away_serves_the_others() {
    let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(900)).await);
    let (machine, _) = Machine::signed_in(&system, &sts.url, 900).await;
    machine.set("[aws.roles.read]\nrole_arn = \"arn:aws:iam::000000000000:role/read\"\n");
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();
    let held = sts.hold().await;
    let target = format!("{}?profile=default&role=read", daemon::CREDENTIALS);
    let caller = async || {
        let stream = UnixStream::connect(machine.socket()).await.unwrap();
        Caller::ask(stream, &target, "Host: localhost\r\n").await
    };

    let first = caller().await;
    sts.is_asked(2).await;
    drop(first);
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(caller().await);
    }
    // Its answer comes after the daemon has seen that the first is gone.
    machine.client().status().await.unwrap();
    drop(held);

    for other in others {
        let answer = other.answer().await;
        assert!(answer.contains("\"ASIA2\""), "{answer}");
    }
    assert_eq!(sts.asked(), 2);
}
