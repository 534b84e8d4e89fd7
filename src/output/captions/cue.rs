//! Cues: text that is on the screen at one time.

/// Lines that appear and disappear together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// Start in milliseconds from the start of the recording.
    pub start_ms: u64,
    /// End in milliseconds from the start of the recording.
    pub end_ms: u64,
    /// Name of who speaks, if it is known.
    pub speaker: Option<String>,
    /// Pieces of each line. A line does not begin with a space.
    pub lines: Vec<Vec<Piece>>,
}

/// Piece of a line: a word, or a character of a script without spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Text, with the space before it.
    pub text: String,
    /// Start in milliseconds.
    pub start_ms: u64,
    /// End in milliseconds.
    pub end_ms: u64,
}

/// Time within a cue in which the same word, or none, is highlighted.
#[derive(Debug, PartialEq, Eq)]
pub struct Moment {
    pub start_ms: u64,
    pub end_ms: u64,
    /// Line and number of the word.
    pub word: Option<(usize, usize)>,
}

impl Cue {
    /// Returns the moments of the cue, which follow one another without a gap.
    pub fn moments(&self) -> Vec<Moment> {
        let mut moments: Vec<Moment> = Vec::new();
        let mut at = self.start_ms;
        let mut add = |start_ms, end_ms, word| {
            if start_ms < end_ms {
                moments.push(Moment {
                    start_ms,
                    end_ms,
                    word,
                });
            }
        };
        for (row, line) in self.lines.iter().enumerate() {
            for (column, piece) in line.iter().enumerate() {
                let start_ms = piece.start_ms.clamp(at, self.end_ms);
                let end_ms = piece.end_ms.clamp(start_ms, self.end_ms);
                add(at, start_ms, None);
                add(start_ms, end_ms, Some((row, column)));
                at = end_ms;
            }
        }
        add(at, self.end_ms, None);
        moments
    }

    /// Joins the lines, with each piece written by `write`, which gets its line and number.
    pub fn text(
        &self,
        separator: &str,
        write: impl Fn(&Piece, (usize, usize)) -> String,
    ) -> String {
        let line = |(row, line): (usize, &Vec<Piece>)| {
            line.iter()
                .enumerate()
                .map(|(column, piece)| write(piece, (row, column)))
                .collect::<String>()
        };
        let lines: Vec<String> = self.lines.iter().enumerate().map(line).collect();
        lines.join(separator)
    }
}

/// Format of cues.
pub trait CueFormat: Send {
    /// Whether the text of a cue begins with the name of who speaks, since the format has no other
    /// place that people see.
    const NAMES_IN_TEXT: bool = true;

    /// Returns the beginning of the file.
    fn begin(&mut self) -> String;

    /// Returns the text of a cue. If its words are to be `highlighted`, each is marked while it is
    /// spoken.
    fn cue(&mut self, cue: &Cue, highlighted: bool) -> String;
}
