//! What handlers compute: on threads that may block, within a budget of the process and of each account.
//!
//! The threads that answer requests wait for services, and for nothing else: what computes for more than some
//! milliseconds on one of them holds up every client, also one that asks for `/health`. So a handler takes a share of
//! the budget first and has the work done on another thread. An account that asks for more than its share waits, and
//! the neighbours do not; what would wait behind too many of its own is refused.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex},
};

use axum::http::{HeaderValue, StatusCode, header};
use penstock_model::{AccountId, limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

const MIB: u64 = 1024 * 1024;

/// The budget of a process.
#[derive(Debug, Clone)]
pub(crate) struct Work(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    threads: Arc<Semaphore>,
    /// In MiB.
    memory: Arc<Semaphore>,
    accounts: Mutex<HashMap<AccountId, Account>>,
}

/// What an account has at work or waiting.
#[derive(Debug)]
struct Account {
    asked: usize,
    at_work: Arc<Semaphore>,
}

/// A share of the budget, which is given back when it is dropped. Work takes it along, so that it counts until it is
/// done, also where its request is gone.
#[derive(Debug)]
pub(crate) struct Share {
    _thread: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
    _at_work: OwnedSemaphorePermit,
    _asked: Asked,
}

/// The memory of a share, for what stays in it when the work is done.
#[derive(Debug)]
pub(crate) struct Memory(#[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit);

/// One of the requests of an account.
#[derive(Debug)]
struct Asked {
    budget: Arc<Budget>,
    account: AccountId,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut accounts = self.budget.accounts.lock().expect("no holder panics");
        if let Entry::Occupied(mut account) = accounts.entry(self.account.clone()) {
            account.get_mut().asked -= 1;
            if account.get().asked == 0 {
                account.remove();
            }
        }
    }
}

impl Work {
    /// The budget that [`limits`] gives a process.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Budget {
            threads: Arc::new(Semaphore::new(limits::WORK_AT_ONCE)),
            memory: Arc::new(Semaphore::new((limits::PREVIEW_MEMORY_BYTES / MIB) as usize)),
            accounts: Mutex::default(),
        }))
    }

    /// Waits for a share with so many bytes of memory.
    ///
    /// # Errors
    /// 429 where the account has [`limits::WORK_ASKED`] requests at work or waiting; 422 for more memory than there is.
    pub(crate) async fn share(&self, account: &AccountId, memory: u64) -> Result<Share, Refusal> {
        if memory > limits::PREVIEW_MEMORY_BYTES {
            let message = format!(
                "this takes {memory} bytes of memory, the limit is {}: create an import and upload the file to it",
                limits::PREVIEW_MEMORY_BYTES
            );
            return Err(Refusal::unprocessable("too_much_memory", message));
        }
        let budget = &self.0;
        let (asked, at_work) = {
            let mut accounts = budget.accounts.lock().expect("no holder panics");
            let new = || Account { asked: 0, at_work: Arc::new(Semaphore::new(limits::WORK_OF_ACCOUNT)) };
            let of_account = accounts.entry(account.clone()).or_insert_with(new);
            if of_account.asked >= limits::WORK_ASKED {
                return Err(busy());
            }
            of_account.asked += 1;
            (Asked { budget: budget.clone(), account: account.clone() }, of_account.at_work.clone())
        };
        let open = "it is never closed";
        // In this order: who waits for the account's own does not keep anything from the others.
        let at_work = at_work.acquire_owned().await.expect(open);
        let mib = u32::try_from(memory.div_ceil(MIB)).unwrap_or(u32::MAX);
        let memory = budget.memory.clone().acquire_many_owned(mib).await.expect(open);
        let thread = budget.threads.clone().acquire_owned().await.expect(open);
        Ok(Share { _thread: thread, _memory: memory, _at_work: at_work, _asked: asked })
    }

    /// Has work done that takes no memory to speak of.
    ///
    /// # Errors
    /// Those of [`Work::share`].
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        account: &AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.run_in(account, 0, work).await.map(|(done, _)| done)
    }

    /// Has work done in so many bytes of memory; what it came to, and that memory.
    ///
    /// # Errors
    /// Those of [`Work::share`].
    pub(crate) async fn run_in<T: Send + 'static>(
        &self,
        account: &AccountId,
        memory: u64,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Memory), Refusal> {
        let share = self.share(account, memory).await?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            let Share { _memory, .. } = share;
            (done, Memory(_memory))
        });
        match done.await {
            Ok(done) => Ok(done),
            // The outermost layer answers.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// 429: the account's own requests are in the way.
fn busy() -> Refusal {
    let message = format!(
        "{} requests of this account are at work or wait for it, the limit: send the next one when one is answered",
        limits::WORK_ASKED
    );
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
        .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn account(name: &str) -> AccountId {
        name.parse().expect("valid")
    }

    /// One thread answers, as on a machine with one core: what computed on it would stop the test.
    #[tokio::test]
    async fn a_neighbour_works_while_an_account_is_beyond_its_share() {
        let work = Work::new();
        let (hostile, neighbour) = (account("hostile"), account("neighbour"));
        let (begun, beginnings) = mpsc::channel();
        let mut gates = Vec::new();
        let mut attacks = Vec::new();
        for _ in 0..limits::WORK_ASKED {
            let (gate, opened) = mpsc::channel::<()>();
            let (work, hostile, begun) = (work.clone(), hostile.clone(), begun.clone());
            gates.push(gate);
            attacks.push(tokio::spawn(async move {
                work.run(&hostile, move || {
                    begun.send(()).expect("the test waits");
                    opened.recv().expect_err("the gate is opened by being dropped");
                })
                .await
            }));
            tokio::task::yield_now().await;
        }
        let beginnings = tokio::task::spawn_blocking(move || {
            (0..limits::WORK_OF_ACCOUNT).for_each(|_| beginnings.recv().expect("begins"));
            beginnings
        });
        let beginnings = beginnings.await.expect("no panic");
        let refused = work.run(&hostile, || ()).await.expect_err("too many");
        assert_eq!((refused.status.as_u16(), refused.code.as_ref()), (429, "busy"));
        // The attack holds what it can, and the neighbour's work begins and ends.
        for at in 0..20 {
            assert_eq!(work.run(&neighbour, move || at).await.expect("a share"), at);
        }
        assert!(beginnings.try_recv().is_err(), "no more of the account's own began than its share");
        drop(gates);
        for attack in attacks {
            attack.await.expect("no panic").expect("a share");
        }
        assert_eq!(work.run(&hostile, || 1).await.expect("a share"), 1);
        assert!(work.0.accounts.lock().expect("no panic").is_empty(), "nothing is remembered of who is idle");
        assert_eq!(work.0.threads.available_permits(), limits::WORK_AT_ONCE);
    }

    #[tokio::test]
    async fn memory_is_shared_out_and_no_more_than_there_is() {
        let work = Work::new();
        let most = limits::PREVIEW_MEMORY_BYTES;
        let refused = work.share(&account("a"), most + 1).await.expect_err("more than there is");
        assert_eq!((refused.status.as_u16(), refused.code.as_ref()), (422, "too_much_memory"));
        let large = work.share(&account("a"), most - MIB).await.expect("a share");
        let small = work.share(&account("b"), MIB).await.expect("beside it");
        let third = account("c");
        let mut waits = Box::pin(work.share(&third, MIB));
        assert!(futures::poll!(&mut waits).is_pending());
        drop(small);
        drop(waits.await.expect("what was given back"));
        drop(large);
        assert_eq!(work.0.memory.available_permits() as u64, most / MIB);
    }

    #[tokio::test]
    async fn a_request_that_is_gone_before_its_turn_gives_its_place_back() {
        let work = Work::new();
        let hostile = account("hostile");
        let held = [work.share(&hostile, 0).await.expect("a share"), work.share(&hostile, 0).await.expect("a share")];
        for _ in 0..100 {
            let mut waits = Box::pin(work.share(&hostile, 0));
            assert!(futures::poll!(&mut waits).is_pending());
        }
        drop(held);
        assert!(work.0.accounts.lock().expect("no panic").is_empty());
    }
}
