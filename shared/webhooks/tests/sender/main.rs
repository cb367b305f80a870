//! What a sender does and does not do, over real sockets.

mod addresses;
mod answers;
mod receivers;
mod support;
mod tls;
