//! "Did you mean …?": the known names most like an unknown one.

use strsim::jaro_winkler;

/// Similarity, from 0 to 1, from which [`advice`] suggests a name.
const NEAR: f64 = 0.7;

/// Returns the names among `known` whose Jaro-Winkler similarity to `given`, ignoring case, is at
/// least `threshold` (0 to 1): most similar first, then in alphabetical order, without duplicates.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
    threshold: f64,
) -> Vec<&'a str> {
    let given = given.to_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (jaro_winkler(&given, &name.to_lowercase()), name))
        .filter(|&(similarity, _)| similarity >= threshold)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup();
    near.into_iter().map(|(_, name)| name).collect()
}

/// Returns the remedy for the unknown name `given`: the nearest known one, or else all of them.
pub(crate) fn advice<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(given, known.iter().copied(), NEAR).first() {
        Some(name) => format!("did you mean '{name}'?"),
        None => format!("there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first_and_far_ones_not_at_all() {
        let known = ["device", "Language", "lang", "pause"];
        assert_eq!(nearest("langauge", known, 0.8), ["Language", "lang"]);
        assert_eq!(nearest("xyzzy", known, 0.7), [""; 0]);
    }

    #[test]
    fn advice_names_the_nearest_or_all() {
        assert_eq!(
            advice("puase", ["device", "pause"]),
            "did you mean 'pause'?"
        );
        assert_eq!(
            advice("xyzzy", ["device", "pause"]),
            "there are device, pause"
        );
    }
}
