//! Webhooks, the side of the sender: how an event is signed, and how it is sent without becoming a way into the network
//! of whoever sends it.
//!
//! Nothing here stores anything or knows AWS. A delivery is `signature` over `id`, time and body, then one
//! [`Sender::send`].

pub mod address;
mod bounded;
mod policy;
mod send;
pub mod signature;

pub use policy::{Policy, UrlError, WebhookUrl};
pub use send::{Answer, Network, NoRoots, SendError, Sender, Sent, System};
pub use signature::{Secret, SecretError, VerifyError, VerifyKey};
