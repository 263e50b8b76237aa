//! What crosses crates: journeys through the binary, the frozen contract, the dependency promises.
