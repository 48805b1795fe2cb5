//! The broker with a client's eyes: real routes, real mail, real error bodies.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

mod bad_requests;
mod discovery;
mod dpop;
mod email;
mod every_route;
mod key_rotation;
mod keys_command;
mod linking;
mod mail;
mod mint_oidc_jwt;
mod operations;
mod renewal;
mod restore;
mod sessions;
mod smtp_server;
mod tokens;
mod wallet;
