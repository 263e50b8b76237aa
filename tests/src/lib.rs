//! What crosses crates: the frozen contract, peer cases, dependency promises. Journeys through the binary are tests
//! of the `plimsoll` package, which knows where its binary is; their sources are in `journeys/`.
