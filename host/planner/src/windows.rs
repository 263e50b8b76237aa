//! When optimisation rests, and when it may do more than usual.
//!
//! ```text
//!   Fri:15:30-Mon:08:00 ──> SuspensionHours ─────> at(now): until when nothing is removed to save
//!   0 2 * * SUN, 2h ──────> OptimizationWindows ─> effects(now): which protections yield, and until when
//! ```
//!
//! Both are read by the wall clock of a time zone, UTC unless another is named. When clocks change:
//!
//! - An hour that does not exist is jumped over. A weekly window that begins in it begins, and one that ends in it
//!   ends, at the jump; one that lies within it does not open. A scheduled start within it happens at the jump.
//! - In an hour that exists twice, a weekly window is open whenever the wall clock says so, in both passes. A
//!   scheduled start happens in the first pass alone, unless the schedule's hours begin with `*`: then in both.
//! - The length of a scheduled window is time that passes: `1d` is 24 hours also on a day of 25.
//!
//! Facts: `ocean-features` C18, D12 and 4.13.

mod cron;
mod error;
mod optimization;
mod suspension;
mod weekly;
mod zone;

pub use cron::{CronWindow, Effect, Schedule, WindowLength};
pub use error::WindowError;
pub use optimization::{Effects, OptimizationWindows};
pub use suspension::{Suspended, SuspensionHours};
pub use weekly::{WeekMinute, WeeklyWindow};
pub use zone::Zone;

/// One minute, in milliseconds.
const MINUTE: i64 = 60_000;
/// One day, in milliseconds.
const DAY: i64 = 24 * 60 * MINUTE;
/// How far ahead is looked for a change: clocks repeat themselves within a year and some weeks.
const AHEAD: i64 = 400 * DAY;
