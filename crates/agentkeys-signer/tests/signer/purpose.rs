//! What a signer signs that is there to prove wallets.

use agentkeys_api::ErrorCode;

use crate::{
    bench::{ADA, GRACE, problem},
    worker::{ADAS_WALLET, SIGNINGS_PER_MINUTE, Worker},
};

#[tokio::test]
async fn the_brokers_own_challenge_is_signed_again_and_again_the_same() {
    let worker = Worker::start().await;
    let laptop = worker.device();

    let first = worker.signing(&laptop, worker.challenge()).await.text().await.unwrap();
    let second = worker.signing(&laptop, worker.challenge()).await.text().await.unwrap();

    assert!(first.starts_with(r#"{"signature":"0x"#), "{first}");
    assert_eq!(first, second);
    assert_eq!(worker.record.signings(), 2);
}

#[tokio::test]
async fn a_message_that_proves_something_else_is_not_signed_nor_recorded() {
    let worker = Worker::start().await;
    let laptop = worker.device();
    let challenge = worker.challenge();
    for (ours, theirs) in [
        ("127.0.0.1:8470 wants", "bank.example.com wants"),
        ("127.0.0.1:8470 wants", "127.0.0.1 wants"),
        ("127.0.0.1:8470 wants", "127.0.0.1:8470. wants"),
        ("127.0.0.1:8470 wants", "127.0.0.1:8470@bank.example.com wants"),
        ("127.0.0.1:8470 wants", "xn--127-6na.0.0.1:8470 wants"),
        ("127.0.0.1:8470 wants", "http://127.0.0.1:8470 wants"),
        ("URI: http://127.0.0.1:8470", "URI: https://127.0.0.1:8470"),
        ("URI: http://127.0.0.1:8470", "URI: http://127.0.0.1:8470/"),
        ("URI: http://127.0.0.1:8470", "URI: http://127.0.0.1:8470/login"),
        (ADAS_WALLET, "0xFDc9718C197650CB9B9df139047A12F57e0FAC59"),
        (ADAS_WALLET, &ADAS_WALLET.to_lowercase()),
        (ADA, GRACE),
        ("Chain ID: 1\n", "Chain ID: 2\n"),
        ("Chain ID: 1\n", "Chain ID: 01\n"),
        ("Version: 1", "Version: 2"),
        ("Prove this wallet for your AgentKeys account.", "Sell everything."),
        ("Resources:", "Not Before: 2027-01-15T08:00:00Z\nResources:"),
        ("Resources:", "Request ID: 1\nResources:"),
        ("Resources:\n", "Resources:\n- https://bank.example.com\n"),
        ("Nonce: 9Zxk", "Nonce: 9Zx\u{202e}"),
        ("Nonce: 9Zxk", "Nonce: 9Zx\t"),
        ("Prove this", "Prove\0this"),
        ("\n", "\r\n"),
        ("08:05:00Z", "08:10:01Z"),
        ("08:05:00Z", "08:00:00Z"),
        ("08:05:00Z", "08:05:00.5Z"),
        ("08:05:00Z", "9999-12-31T23:59:59Z"),
    ] {
        let message = challenge.replacen(ours, theirs, if ours == "\n" { 99 } else { 1 });
        assert_ne!(message, challenge, "{theirs}");

        assert_eq!(worker.sign(&laptop, message).await, Err(ErrorCode::MessageRefused), "{theirs}");
    }
    assert_eq!(worker.record.signings(), 0);
}

#[tokio::test]
async fn what_is_no_challenge_at_all_is_not_signed() {
    let worker = Worker::start().await;
    let laptop = worker.device();
    let challenge = worker.challenge();
    let eip_712 = [&[0x19, 0x01][..], &[7; 64]].concat();
    let rlp = [&[0xf8, 0x6b][..], &[7; 107]].concat();
    let wrapped = format!("\u{19}Ethereum Signed Message:\n{}{challenge}", challenge.len());
    for message in [
        &[7; 32][..],
        &eip_712,
        &rlp,
        b"Sign this message to derive your key",
        b"hello",
        wrapped.as_bytes(),
        format!(" {challenge}").as_bytes(),
        format!("{challenge}\n").as_bytes(),
        format!("\u{feff}{challenge}").as_bytes(),
        &[challenge.as_bytes(), &[0xff]].concat(),
        &challenge.as_bytes()[..challenge.len() - 1],
        hex::encode(&challenge).as_bytes(),
    ] {
        let refused = worker.sign(&laptop, message).await;

        assert_eq!(refused, Err(ErrorCode::MessageRefused), "{:?}", String::from_utf8_lossy(message));
    }
    assert_eq!(worker.record.signings(), 0);
}

#[tokio::test]
async fn a_challenge_is_signed_in_its_window_only_and_a_clock_may_be_a_minute_off() {
    let worker = Worker::start().await;
    let laptop = worker.device();
    worker.prove(&laptop).await.unwrap();
    let challenge = worker.challenge();
    let mut offset = 0;
    for (at, expected) in [
        (-61, Err(ErrorCode::MessageRefused)),
        (-60, Ok(())),
        (0, Ok(())),
        (299, Ok(())),
        (300, Err(ErrorCode::MessageRefused)),
    ] {
        worker.clock.advance(at - offset);
        offset = at;
        // Its token is from the same broker, whose clock is this one.
        let laptop = worker.signed_in(ADA, laptop.key.clone(), agentkeys_types::Clock::now(&*worker.clock));

        assert_eq!(worker.sign(&laptop, &challenge).await, expected, "{at}");
    }
}

#[tokio::test]
async fn an_account_has_so_many_messages_signed_in_a_minute_and_no_more() {
    let worker = Worker::start().await;
    let (laptop, graces) = (worker.device(), worker.device_of(GRACE));
    let message = worker.challenge();
    for _ in 0..SIGNINGS_PER_MINUTE {
        worker.sign(&laptop, &message).await.unwrap();
    }
    worker.clock.advance(15);

    let response = worker.signing(&laptop, &message).await;

    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (429, "45"));
    assert_eq!(problem(response).await.error, ErrorCode::RateLimited);
    assert_eq!(worker.record.signings(), SIGNINGS_PER_MINUTE as usize);
    worker.derive(&laptop).await.unwrap();
    worker.derive(&graces).await.unwrap();
    worker.clock.advance(45);
    worker.sign(&laptop, &message).await.unwrap();
}
