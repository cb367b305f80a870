//! Every name is registered: whatever the product stores, the registry of names knows what it begins with, and so the
//! removal of an account finds it.

use std::{collections::BTreeSet, time::Duration};

use penstock_store::names::{Folder, Own, Partition, of_record};

use crate::support::{
    Stack,
    tables::{import_items, key, objects, record_items},
    tenant::Tenant,
};

/// What has been met of the registry.
#[derive(Default)]
struct Met {
    partitions: BTreeSet<Partition>,
    own: BTreeSet<Own>,
    folders: BTreeSet<Folder>,
}

impl Met {
    /// Looks at all that is stored, and fails for a name that is not registered.
    async fn look(&mut self, stack: &Stack) {
        for item in import_items(stack).await {
            let (pk, sk) = (key(&item, "pk"), key(&item, "sk"));
            let partition = Partition::of(pk).unwrap_or_else(|| panic!("{pk} / {sk} is not registered"));
            self.partitions.insert(partition);
            if partition == Partition::Account {
                self.own.insert(Own::of(sk).unwrap_or_else(|| panic!("{pk} / {sk} is not registered")));
            }
        }
        for item in record_items(stack).await {
            let pk = key(&item, "pk");
            assert!(of_record(pk).is_some(), "{pk} is not registered");
        }
        for (object, _) in objects(stack).await {
            let (folder, _) = Folder::of(&object).unwrap_or_else(|| panic!("{object} is not registered"));
            self.folders.insert(folder);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_stored_has_a_registered_name_and_every_name_is_met() {
    // What a bus does not take stays stored for a day.
    let no_bus = ("PENSTOCK_EVENT_BUS".to_owned(), "elsewhere".to_owned());
    let stack = Stack::with(|options| options.environment.push(no_bus)).await;
    let mut met = Met::default();
    Tenant::new(&stack, "shop", "quixotic").await;
    met.look(&stack).await;
    Tenant::new(&stack, "shop2", "zephyr").await;
    stack.client.delete_account("shop2").await.expect("ordered");
    stack.pass(Duration::from_secs(61)).await;
    stack.cloud.quiet().await;
    met.look(&stack).await;
    stack.pass(Duration::from_secs(25 * 3600)).await;
    stack.cloud.quiet().await;
    met.look(&stack).await;
    // Else the run is not the whole breadth, or the registry names what nobody makes. Bodies are refused past Lambda
    // alone, which nothing here goes.
    assert_eq!(met.partitions, Partition::ALL.iter().copied().collect());
    assert_eq!(met.own, Own::ALL.iter().copied().collect());
    let here = Folder::ALL.iter().copied().filter(|folder| *folder != Folder::Refused);
    assert_eq!(met.folders, here.collect());
    stack.stop().await;
}
