//! A network as a column of parts, folded until people can take it in.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::{
    data::{Network, Node},
    number,
    plot::{WIDTH, short},
};

/// Parts up to which a network is shown finer.
const MOST_PARTS: usize = 20;
const ROW: f64 = 46.0;
const BOX_LEFT: f64 = 18.0;
const BOX_WIDTH: f64 = 232.0;
const BARS: f64 = 262.0;
const BAR: f64 = 62.0;

/// Nodes that belong together.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    name: String,
    /// What it computes, in words.
    ops: String,
    residual: bool,
    shape: Vec<usize>,
    /// How many equal parts in a row it stands for.
    times: usize,
    params: u64,
    macs: u64,
    /// Places of earlier parts that it reads, but for the one before it.
    reads: Vec<usize>,
}

/// Draws `network`.
pub(crate) fn figure(title: &str, network: &Network, caption: &Markup) -> Markup {
    let parts = parts(&network.nodes);
    let height = ROW * (parts.len() + 1) as f64 + 30.0;
    let middle = BOX_LEFT + BOX_WIDTH / 2.0;
    let most = |count: fn(&Part) -> u64| parts.iter().map(count).max().unwrap_or(0).max(1) as f64;
    let (most_params, most_macs) = (most(|part| part.params), most(|part| part.macs));
    let top = |index: usize| 22.0 + ROW * index as f64;
    html! {
        figure {
            h4 { (title) }
            svg role="img" aria-label=(format!("Structure of {title}")) viewBox=(format!("0 0 {WIDTH} {}", short(height))) {
                desc { "Parts of the network from image to scores, with parameters and multiply-adds of each." }
                text x=(short(BARS)) y="14" { "params" }
                text x=(short(BARS + 70.0)) y="14" { "mult.-adds" }
                rect.box.image x=(short(BOX_LEFT)) y=(short(top(0))) width=(short(BOX_WIDTH)) height="36" rx="5" {}
                text.strong x=(short(BOX_LEFT + 9.0)) y=(short(top(0) + 22.0)) { "image" }
                text x=(short(BOX_LEFT + BOX_WIDTH - 9.0)) y=(short(top(0) + 22.0)) text-anchor="end" { (shape(&network.input)) }
                @for (index, part) in parts.iter().enumerate() {
                    @let y = top(index + 1);
                    path.flow d={ "M" (short(middle)) " " (short(y - ROW + 36.0)) "V" (short(y)) } {}
                    @for read in &part.reads {
                        @let from = top(read + 1) + 18.0;
                        path.skip d={ "M" (short(BOX_LEFT)) " " (short(from)) "C2 " (short(from)) " 2 " (short(y + 12.0)) " " (short(BOX_LEFT)) " " (short(y + 12.0)) } {}
                    }
                    g {
                        title { (part.name) ": " (part.ops) ", " (shape(&part.shape)) ", " (number::grouped(part.params)) " parameters, " (number::grouped(part.macs)) " multiply-adds" }
                        @if part.times > 1 {
                            rect.box x=(short(BOX_LEFT + 4.0)) y=(short(y + 4.0)) width=(short(BOX_WIDTH)) height="36" rx="5" {}
                        }
                        rect.box x=(short(BOX_LEFT)) y=(short(y)) width=(short(BOX_WIDTH)) height="36" rx="5" {}
                        text.strong x=(short(BOX_LEFT + 9.0)) y=(short(y + 15.0)) {
                            (clip(&part.name, 18)) @if part.times > 1 { " × " (part.times) }
                        }
                        text x=(short(BOX_LEFT + BOX_WIDTH - 9.0)) y=(short(y + 15.0)) text-anchor="end" { (shape(&part.shape)) }
                        text x=(short(BOX_LEFT + 9.0)) y=(short(y + 30.0)) { (clip(&part.ops, if part.residual { 26 } else { 36 })) }
                        @if part.residual {
                            text.accent x=(short(BOX_LEFT + BOX_WIDTH - 9.0)) y=(short(y + 30.0)) text-anchor="end" { "+ skip" }
                        }
                    }
                    (bar("s0", BARS, y, part.params, most_params))
                    (bar("s1", BARS + 70.0, y, part.macs, most_macs))
                }
            }
            figcaption { (caption) }
        }
    }
}

fn bar(class: &str, x: f64, y: f64, value: u64, most: f64) -> Markup {
    html! {
        text x=(short(x)) y=(short(y + 14.0)) { (if value == 0 { "–".to_owned() } else { number::scaled(value as f64) }) }
        rect class={ "bar " (class) } x=(short(x)) y=(short(y + 20.0)) width=(short(value as f64 / most * BAR)) height="9" {}
    }
}

/// `64×32×32`.
fn shape(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Folds nodes by the modules that their names tell, as finely as a reader can take; then equal
/// neighbours into one.
fn parts(nodes: &[Node]) -> Vec<Part> {
    let deepest = nodes.iter().map(|node| node.name.split('.').count()).max().unwrap_or(1);
    let fits = |depth: &usize| {
        let parts = split(nodes, *depth);
        // A module whose nodes are not in one piece, such as a block around its shortcut, is cut too finely.
        let modules: BTreeSet<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        modules.len() == parts.len() && merge(parts.clone()).len() <= MOST_PARTS
    };
    let depth = (1..deepest).rev().find(fits).unwrap_or(1);
    merge(split(nodes, depth))
}

/// The first `depth` components of a name, but never the last one of several.
fn module(name: &str, depth: usize) -> &str {
    let dots: Vec<usize> = name.match_indices('.').map(|(at, _)| at).collect();
    match dots.get(depth - 1).or(dots.last()) {
        Some(end) => &name[..*end],
        None => name,
    }
}

fn split(nodes: &[Node], depth: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut owner: BTreeMap<&str, usize> = BTreeMap::new();
    let same = |a: &Node, b: &Node| module(&a.name, depth) == module(&b.name, depth);
    for group in nodes.chunk_by(same) {
        let place = parts.len();
        let mut reads: Vec<usize> =
            group.iter().flat_map(|n| &n.inputs).filter_map(|i| owner.get(&**i).copied()).collect();
        reads.sort_unstable();
        reads.dedup();
        reads.retain(|read| read + 1 < place);
        owner.extend(group.iter().map(|node| (node.name.as_str(), place)));
        parts.push(Part {
            name: module(&group[0].name, depth).to_owned(),
            ops: ops(group),
            residual: group.iter().any(|node| node.residual),
            shape: group[group.len() - 1].shape.clone(),
            times: 1,
            params: group.iter().map(|node| node.params).sum(),
            macs: group.iter().map(|node| node.macs).sum(),
            reads,
        });
    }
    parts
}

/// Operators worth a mention, repetitions counted; the word `conv` stands once before several.
fn ops(nodes: &[Node]) -> String {
    let named: Vec<&str> = nodes.iter().map(|node| node.op.as_str()).filter(|op| !op.is_empty()).collect();
    let mut text = String::new();
    let mut before = "";
    for run in named.chunk_by(|a, b| a == b) {
        let (kind, rest) = run[0].split_once(' ').unwrap_or((run[0], ""));
        let word = if kind == before && !rest.is_empty() { rest } else { run[0] };
        before = kind;
        text += if text.is_empty() { "" } else { ", " };
        text += &if run.len() > 1 { format!("{} × {word}", run.len()) } else { word.to_owned() };
    }
    text
}

/// Draws neighbours that compute the same on the same shape once. Their costs add up.
fn merge(parts: Vec<Part>) -> Vec<Part> {
    let mut merged: Vec<Part> = Vec::new();
    // Where each part of before has gone.
    let mut place: Vec<usize> = Vec::new();
    for part in parts {
        let mut reads: Vec<usize> = part.reads.iter().map(|read| place[*read]).collect();
        reads.dedup();
        match merged.last_mut() {
            Some(last)
                if (&last.ops, &last.shape, last.residual) == (&part.ops, &part.shape, part.residual)
                    && last.params / last.times as u64 == part.params =>
            {
                last.times += 1;
                last.params += part.params;
                last.macs += part.macs;
            }
            _ => {
                let here = merged.len();
                reads.retain(|read| read + 1 < here);
                merged.push(Part { reads, ..part });
            }
        }
        place.push(merged.len() - 1);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, op: &str, input: &str) -> Node {
        Node {
            name: name.to_owned(),
            op: op.to_owned(),
            inputs: vec![input.to_owned()],
            shape: vec![8, 4, 4],
            params: 10,
            macs: 100,
            ..Node::default()
        }
    }

    #[test]
    fn equal_neighbours_are_one_part_and_costs_add_up() {
        let mut nodes = vec![node("conv1", "conv 7×7", "input")];
        let mut before = "conv1".to_owned();
        for block in 0..40 {
            for conv in ["conv1", "conv2"] {
                let name = format!("layer1.{block}.{conv}");
                nodes.push(node(&name, "conv 3×3", &before));
                before = name;
            }
        }
        nodes.push(node("fc", "linear", &before));
        let parts = parts(&nodes);
        let names: Vec<_> = parts.iter().map(|part| (part.name.as_str(), part.times)).collect();
        assert_eq!(names, [("conv1", 1), ("layer1.0", 40), ("fc", 1)]);
        assert_eq!(parts[1].ops, "2 × conv 3×3");
        assert_eq!(parts.iter().map(|part| part.params).sum::<u64>(), 820);
        assert_eq!(parts.iter().map(|part| part.macs).sum::<u64>(), 8200);
    }

    #[test]
    fn long_links_are_kept_and_a_network_that_is_too_fine_is_folded() {
        let mut nodes: Vec<Node> = (0..30)
            .map(|i| {
                node(
                    &format!("cells.{i}.op{i}"),
                    &format!("conv {i}"),
                    &format!("cells.{}.op{}", i - 1, i - 1),
                )
            })
            .collect();
        assert_eq!(parts(&nodes).len(), 1, "only the outermost modules are few enough");
        nodes.truncate(10);
        nodes[5].inputs.push("cells.2.op2".to_owned());
        let parts = parts(&nodes);
        assert_eq!((parts.len(), &parts[5].reads[..]), (10, &[2][..]));
        assert!(parts.iter().enumerate().all(|(i, part)| i == 5 || part.reads.is_empty()));
    }

    #[test]
    fn operators_are_told_in_few_words() {
        let nodes = ["conv 7×7 /2", "conv 7×7", "conv 7×7", "", "linear", "linear"];
        let nodes: Vec<Node> = nodes.iter().map(|op| node("a", op, "input")).collect();
        assert_eq!(ops(&nodes), "conv 7×7 /2, 2 × 7×7, 2 × linear");
    }

    #[test]
    fn a_block_keeps_its_shortcut() {
        let names = ["b.0.conv1", "b.0.proj.conv", "b.0.add", "b.1.conv1"];
        let nodes: Vec<Node> = names.iter().map(|name| node(name, "conv 3×3", "input")).collect();
        let parts = parts(&nodes);
        assert_eq!(parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["b.0", "b.1"]);
    }

    #[test]
    fn a_network_without_nodes_is_drawn() {
        assert!(figure("none", &Network::default(), &html! {}).into_string().contains("image"));
    }
}
