//! What the host changed in an answer, in sentences for people.

/// Sentences kept for one plan: an answer may be wrong in a million places.
const MOST: usize = 100;

/// Adds a sentence while there is room, and says so once there is none.
pub(crate) fn note(clipped: &mut Vec<String>, sentence: impl FnOnce() -> String) {
    match clipped.len() {
        length if length < MOST => clipped.push(sentence()),
        MOST => clipped.push("further changes are not listed".to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_ends() {
        let mut clipped = Vec::new();
        (0..1_000_000).for_each(|at| note(&mut clipped, || at.to_string()));
        assert_eq!(clipped.len(), MOST + 1);
        assert_eq!(clipped.last().unwrap(), "further changes are not listed");
    }
}
