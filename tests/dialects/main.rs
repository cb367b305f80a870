//! The five dialects, as the clients of their documents speak them: transcripts against the local cloud.

#[path = "../support/mod.rs"]
mod support;

mod algure;
mod betterdata;
mod connectif;
mod forms;
mod limiter;
mod node;
mod productsmanager;
mod quotiza;
mod transcript;
mod uploads;
