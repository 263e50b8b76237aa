//! The ledger of launches, and the ConfigMap that it is written down in.

use plimsoll_kube::{Api, Permit, Record, RecordError, RecordVersion, Stored};
use plimsoll_model::Text;
use plimsoll_planner::launch::{Ledger, LedgerError, LedgerRules};

/// The ledger as this leader has it, and as it was last written down.
#[derive(Debug)]
pub struct LedgerBook {
    /// The ledger. Whoever changes it lets it be [saved](Self::save) before anything is done about it.
    pub ledger: Ledger,
    /// `None`: it is kept in memory only.
    place: Option<Place>,
    written: String,
}

#[derive(Debug)]
struct Place {
    api: Api,
    record: Record,
    version: RecordVersion,
}

/// Why the ledger cannot be used. The text is a sentence.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// What is written down is no ledger.
    #[error("{0}")]
    Unreadable(#[from] LedgerError),
    /// It cannot be read or written now.
    #[error("the record of launches: {0}")]
    Record(#[from] RecordError),
}

impl LedgerBook {
    /// A ledger that is kept in memory only: for `mode: observe`.
    pub fn in_memory(cluster: &str, rules: LedgerRules) -> Self {
        let ledger = Ledger::new(cluster.into(), rules);
        Self { written: ledger.write(), ledger, place: None }
    }

    /// The ledger as the leader before wrote it down; an empty one if there is none yet.
    pub async fn open(api: Api, record: Record, cluster: &str, rules: LedgerRules) -> Result<Self, BookError> {
        let cluster = Text::from(cluster);
        let Stored { text, version } = record.read(&api).await?;
        let (ledger, written) = match text {
            Some(text) => (Ledger::read(&text, &cluster, rules)?, text),
            None => (Ledger::new(cluster, rules), String::new()),
        };
        Ok(Self { ledger, place: Some(Place { api, record, version }), written })
    }

    /// Writes the ledger down, if it has changed since. After an error nothing may be called that was not in what was
    /// written before, and the ledger has to be opened again: somebody else may have written it.
    pub async fn save(&mut self, permit: &Permit) -> Result<(), BookError> {
        let text = self.ledger.write();
        if text == self.written {
            return Ok(());
        }
        if let Some(Place { api, record, version }) = &mut self.place {
            match record.write(api, permit, &text, version).await {
                Ok(now) => *version = now,
                Err(error) => {
                    // Only the answer may have been lost: then what is there is what was sent.
                    let there = record.read(api).await?;
                    if there.text.as_ref() != Some(&text) {
                        return Err(error.into());
                    }
                    *version = there.version;
                }
            }
        }
        self.written = text;
        Ok(())
    }

    /// True if it is written down somewhere: nothing may be launched by one that is not.
    pub fn is_kept(&self) -> bool {
        self.place.is_some()
    }

    /// True if everything in it has been written down.
    pub fn is_saved(&self) -> bool {
        self.ledger.write() == self.written
    }
}
