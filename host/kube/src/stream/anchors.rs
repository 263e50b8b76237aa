//! Anchored parts of a YAML document, to be repeated where an alias names them.

use std::collections::HashMap;

/// No dump needs this much repetition; a few lines of aliases of aliases would need all memory there is.
const MOST_REPEATED: usize = 16 * 1024 * 1024;

/// Anchored nodes as JSON text.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    done: HashMap<usize, Vec<u8>>,
    open: Vec<Recording>,
    /// Bytes recorded and repeated so far.
    spent: usize,
}

#[derive(Debug)]
struct Recording {
    anchor: usize,
    /// Containers open inside it.
    depth: usize,
    text: Vec<u8>,
}

impl Anchors {
    /// Starts recording the node that follows, if it has an anchor (0 is none).
    pub(super) fn start(&mut self, anchor: usize) {
        if anchor != 0 {
            self.open.push(Recording { anchor, depth: 0, text: Vec::new() });
        }
    }

    /// Adds text to every node that is being recorded.
    pub(super) fn record(&mut self, text: &[u8]) -> Result<(), &'static str> {
        if !self.open.is_empty() {
            self.spend(text.len().saturating_mul(self.open.len()))?;
            self.open.iter_mut().for_each(|recording| recording.text.extend_from_slice(text));
        }
        Ok(())
    }

    /// A container opens.
    pub(super) fn enter(&mut self) {
        self.open.iter_mut().for_each(|recording| recording.depth += 1);
    }

    /// A container closes.
    pub(super) fn leave(&mut self) {
        self.open.iter_mut().for_each(|recording| recording.depth -= 1);
        self.close();
    }

    /// Ends the recordings whose node is complete.
    pub(super) fn close(&mut self) {
        while let Some(recording) = self.open.pop_if(|recording| recording.depth == 0) {
            self.done.insert(recording.anchor, recording.text);
        }
    }

    /// What an alias stands for.
    pub(super) fn resolve(&mut self, anchor: usize) -> Result<Vec<u8>, &'static str> {
        let text =
            self.done.get(&anchor).ok_or("this alias lies inside the very part it repeats; write the part out")?;
        let text = text.clone();
        self.spend(text.len())?;
        Ok(text)
    }

    /// Anchors do not outlive their document.
    pub(super) fn clear(&mut self) {
        self.done.clear();
        self.open.clear();
    }

    fn spend(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > MOST_REPEATED {
            return Err("aliases repeat more than 16 MiB here; no cluster's dump does that");
        }
        Ok(())
    }
}
