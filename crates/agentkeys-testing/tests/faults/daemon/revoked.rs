//! What is handed out after a session was revoked, or an agent taken away.

use std::time::{Duration, Instant};

use agentkeys_api::{AgentGrant, ErrorCode};
use agentkeys_client::ClientError;
use agentkeys_testing::System;

use super::{
    fake_sts::{FakeSts, Manner},
    machine::{Machine, SOON, ask, code, poll},
};

const GRANT: AgentGrant = AgentGrant { audiences: None, expires_at: None };

#[tokio::test]
async fn within_a_second_of_its_revocation_nothing_is_handed_out_for_a_session() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();
    let revoked = Instant::now();

    system.flow().broker.revoke_session(&session, session.session_id).await.unwrap();
    let refused = poll(&machine.client(), SOON, Result::is_err).await.pop().unwrap();
    let after = revoked.elapsed();

    assert!(refused.as_ref().is_err_and(ClientError::needs_sign_in), "{refused:?}");
    assert!(after < Duration::from_secs(1), "{after:?}");
    for _ in 0..50 {
        assert!(ask(&machine.client()).await.is_err());
    }
}

#[tokio::test]
async fn an_agent_that_the_broker_knows_no_more_gets_nothing_at_its_next_renewal() {
    let system = System::start().await;
    let (machine, session) = Machine::signed_in(&system, &system.aws_url(), 900).await;
    let claude = "claude".parse().unwrap();
    system.flow().broker.put_agent(&session, &claude, &GRANT).await.unwrap();
    machine.give_agent("claude", false);
    let sts = FakeSts::start(Manner::Gives(4)).await;
    let (short, _) = Machine::signed_in(&system, &sts.url, 4).await;
    short.give_agent("claude", false);
    let _daemons = (machine.start().await, short.start().await);
    ask(&machine.client_of("claude")).await.unwrap();
    ask(&short.client_of("claude")).await.unwrap();

    system.flow().broker.delete_agent(&session, &claude).await.unwrap();
    let refused = poll(&short.client_of("claude"), SOON, Result::is_err).await.pop().unwrap();

    assert_eq!(code(refused), ErrorCode::AgentUnknown);
    assert!(ask(&short.client()).await.is_ok(), "the person goes on");
    assert!(ask(&machine.client_of("claude")).await.is_ok(), "what lives on at AWS is not asked for anew");
}

#[tokio::test]
async fn an_agent_that_was_taken_from_the_book_gets_nothing_from_the_reload_on() {
    let (system, sts) = (System::start().await, FakeSts::start(Manner::Gives(900)).await);
    let (machine, session) = Machine::signed_in(&system, &sts.url, 900).await;
    let claude = "claude".parse().unwrap();
    system.flow().broker.put_agent(&session, &claude, &GRANT).await.unwrap();
    machine.give_agent("claude", false);
    let _daemon = machine.start().await;
    ask(&machine.client()).await.unwrap();
    let held = sts.hold().await;
    let agent = machine.client_of("claude");
    let waiting = tokio::spawn(async move { ask(&agent).await });
    sts.is_asked(2).await;

    machine.take_agent("claude");
    let client = machine.client();
    let reload = tokio::spawn(async move { client.reload().await });
    while !machine.client().status().await.unwrap().agents.is_empty() {}
    drop(held);
    let answer = waiting.await.unwrap();
    reload.await.unwrap().unwrap();

    assert_eq!(code(answer), ErrorCode::AgentUnknown);
    assert!(matches!(ask(&machine.client_of("claude")).await, Err(ClientError::NoDaemon { .. })));
}
