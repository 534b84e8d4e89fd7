//! Circles among files: which files import each other, directly or through others.
//!
//! In: the imports of each file. Out: a sentence for each circle (strongly connected component).

use super::source::Source;
use std::collections::BTreeSet;

/// A sentence for each circle of files.
pub fn circles(source: &Source) -> Vec<String> {
    let edges = edges(source);
    let reachable: Vec<BTreeSet<usize>> = (0..edges.len()).map(|i| reach(&edges, i)).collect();
    let mut found = BTreeSet::new();
    for (i, from_i) in reachable.iter().enumerate() {
        if from_i.contains(&i) {
            // All that are reached from here and lead back here.
            let back = |j: &usize| reachable[*j].contains(&i);
            found.insert(from_i.iter().copied().filter(back).collect::<Vec<_>>());
        }
    }
    found
        .iter()
        .map(|circle| sentence(source, circle))
        .collect()
}

fn sentence(source: &Source, circle: &[usize]) -> String {
    let names: Vec<String> = circle
        .iter()
        .map(|i| format!("src/{}", source.files[*i].path))
        .collect();
    format!(
        "{} import each other in a circle: move what both need below both",
        names.join(" and ")
    )
}

/// For each file the files that define what it imports.
fn edges(source: &Source) -> Vec<BTreeSet<usize>> {
    let mut edges = Vec::new();
    for (i, file) in source.files.iter().enumerate() {
        let targets = file
            .imports
            .iter()
            .filter_map(|path| source.definition(path));
        edges.push(targets.filter(|target| *target != i).collect());
    }
    edges
}

/// All files that one file needs, through others too.
fn reach(edges: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = edges[from].iter().copied().collect();
    while let Some(file) = open.pop() {
        if seen.insert(file) {
            open.extend(&edges[file]);
        }
    }
    seen
}
