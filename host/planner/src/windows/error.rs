//! What is wrong with a window.

/// What is wrong with a window. As text: what is wrong, and how to write it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// A weekly window of another shape.
    #[error("{0:?} is no weekly window; write it as Ddd:hh:mm-Ddd:hh:mm, for instance Fri:15:30-Mon:08:00")]
    Shape(String),
    /// A day of the week that there is not.
    #[error("{0:?} is no day of the week; write Mon, Tue, Wed, Thu, Fri, Sat or Sun")]
    Day(String),
    /// A time of day that there is not.
    #[error("{0:?} is no time of day; write it from 00:00 to 23:59, and the end of a day as 00:00 of the next")]
    Time(String),
    /// A weekly window that ends where it starts.
    #[error(
        "{0:?} starts and ends at the same time, so it is empty; let it end later, and write the whole week as two \
         windows, for instance Mon:00:00-Thu:00:00 and Thu:00:00-Mon:00:00"
    )]
    Empty(String),
    /// A time zone that there is not.
    #[error("{0:?} is no IANA time zone; write a name like Europe/Berlin or America/New_York, or leave it out for UTC")]
    Zone(String),
    /// A schedule of other than five fields.
    #[error(
        "{schedule:?} has {fields} fields and needs five: minute, hour, day of month, month, day of week, for \
         instance 0 2 * * SUN"
    )]
    Fields {
        /// The schedule.
        schedule: String,
        /// How many fields it has.
        fields: usize,
    },
    /// A schedule that is no cron expression.
    #[error("{schedule:?} is no cron schedule ({problem}); write it like 0 2 * * SUN")]
    Schedule {
        /// The schedule.
        schedule: String,
        /// What its parser says.
        problem: String,
    },
    /// A schedule of a day that no year has.
    #[error("{0:?} never comes; look at its day of month, its month and its day of week")]
    Never(String),
    /// A length that cannot be read.
    #[error("{0:?} is no length of a window; write minutes, hours or days, like 30m, 2h, 1d or 1h30m")]
    Length(String),
    /// A length out of bounds.
    #[error("{0:?} is not between one minute and seven days; write a length like 30m, 2h or 1d")]
    Bounds(String),
    /// An effect that there is not.
    #[error("{0:?} is no effect of a window; write ignorePdb or ignoreRestrictScaleDown")]
    Effect(String),
    /// A window without an effect.
    #[error("it has no effect; write ignorePdb, ignoreRestrictScaleDown, or both")]
    NoEffect,
}
