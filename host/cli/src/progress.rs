//! A line on standard error while something long goes on.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A spinner that shows on a terminal only, and leaves nothing behind.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
