//! The broker with a client's eyes: real routes, real mail, real error bodies.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

mod agents;
mod any_text;
mod authorize;
mod bad_requests;
mod callback;
mod device;
mod discovery;
mod dpop;
mod email;
mod every_route;
mod identities;
mod key_rotation;
mod keys_command;
mod mail;
mod mint_oidc_jwt;
mod operations;
mod pages;
mod recovery;
mod renewal;
mod restore;
mod revoke;
mod sessions;
mod smtp_server;
mod start;
mod token;
mod tokens;
mod wallet;
