//! Times as the formats write them.

/// Time in the parts that a clock shows.
pub(super) struct Clock {
    pub hours: u64,
    pub minutes: u64,
    pub seconds: u64,
    pub milliseconds: u64,
}

/// Splits milliseconds into the parts of a clock.
pub(super) fn clock(ms: u64) -> Clock {
    Clock {
        hours: ms / 3_600_000,
        minutes: ms / 60_000 % 60,
        seconds: ms / 1000 % 60,
        milliseconds: ms % 1000,
    }
}

impl Clock {
    /// `01:02:03,456`.
    pub fn hours_always(&self, decimal: char) -> String {
        format!("{:02}:{}", self.hours, self.below_the_hour(decimal))
    }

    /// `02:03.456`, with hours only if there are any.
    pub fn hours_if_any(&self, decimal: char) -> String {
        match self.hours {
            0 => self.below_the_hour(decimal),
            _ => self.hours_always(decimal),
        }
    }

    fn below_the_hour(&self, decimal: char) -> String {
        format!(
            "{:02}:{:02}{decimal}{:03}",
            self.minutes, self.seconds, self.milliseconds
        )
    }
}
