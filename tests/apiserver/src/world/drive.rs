//! The world at work: looks at a store whenever it changes, and writes what the controllers want.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;

use super::{Change, View, World};
use crate::{Clock, Store};

/// Changes within this time are looked at together.
const QUIET: Duration = Duration::from_millis(20);

/// Without any change, looked at after this long all the same.
const AT_MOST: Duration = Duration::from_secs(3600);

/// Lives until it is dropped. All objects are read at each look: fine for thousands, not for a hundred thousand.
pub async fn live(world: &World, store: &Store, clock: &dyn Clock) -> Infallible {
    loop {
        let seen = store.revision();
        let view = View::of(|resource| store.list(resource, ""));
        let now = clock.now();
        let step = world.step(&view, now);
        for change in step.changes {
            write(store, change);
        }
        if store.revision() == seen {
            let changed = store.wait_until(AT_MOST, |store| store.revision() != seen);
            tokio::select! {
                _ = changed => {}
                () = clock.sleep(until(step.again, now)) => {}
            }
        }
        tokio::time::sleep(QUIET).await;
    }
}

fn until(again: Option<Timestamp>, now: Timestamp) -> Duration {
    let wait = again.map(|again| now.duration_until(again));
    wait.map_or(AT_MOST, |wait| Duration::try_from(wait).unwrap_or_default())
}

/// Writes one change. What somebody else changed in between is looked at again.
fn write(store: &Store, change: Change) {
    let written = match change {
        Change::Create(object) => store.create(object).map(drop),
        Change::Replace(object) => store.replace(object).map(drop),
        Change::Delete { resource, namespace, name } => {
            store.delete(resource, &namespace, &name);
            Ok(())
        }
    };
    if let Err(refusal) = written {
        tracing::debug!(%refusal, "the world could not write; it looks again");
    }
}
