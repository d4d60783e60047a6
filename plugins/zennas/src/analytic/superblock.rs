//! The short way: from the spec of a super-block structure to its chain, without a graph.
//!
//! Structures of the space `superres` are lists of super-blocks, whose layers follow from a few
//! numbers. This reads the same chain as [`chain::layers`](super::chain::layers) from the graph
//! that the space builds, some hundred times faster. Whoever uses it compares both on the structure
//! at hand: this file knows the form of a spec, not who wrote it.

use std::borrow::Cow;

use nashost_plugin_api::graph::Window;
use serde::Deserialize;

use super::{border::Borders, walk::Layer, walk::Walk};

/// Share of the old value in the running variances of these networks.
const MOMENTUM: f64 = 0.9;

/// A super-block, as specs write it.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Block<'a> {
    #[serde(borrow)]
    block: Cow<'a, str>,
    // The space threads channels from block to block; the first takes those of the image.
    #[serde(rename = "in")]
    _input: usize,
    out: usize,
    stride: usize,
    #[serde(default)]
    bottleneck: Option<usize>,
    layers: usize,
}

/// A text that is no list of super-blocks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSuperBlocks {
    #[error("not a list of super-blocks: {0}")]
    Form(#[from] serde_json::Error),
    #[error("not a list of super-blocks: unknown class or missing size")]
    Block,
}

/// Goes through the layers of the structure that `spec`, a JSON text, describes.
pub(super) fn walk(spec: &str, walk: &mut Walk, borders: &mut Borders) -> Result<(), NotSuperBlocks> {
    let blocks = match written(spec) {
        Some(blocks) => blocks,
        None => serde_json::from_str(spec)?,
    };
    let mut chain = Chain { walk, borders };
    for block in &blocks {
        chain.block(block).ok_or(NotSuperBlocks::Block)?;
    }
    if blocks.is_empty() { Err(NotSuperBlocks::Block) } else { Ok(()) }
}

/// Reads blocks that are written as `serde_json` writes them, keys in their order and no spaces, in a fifth of
/// its time; `None` of all other texts.
fn written(spec: &str) -> Option<Vec<Block<'_>>> {
    let mut rest = spec.strip_prefix('[')?;
    // Most structures have less.
    let mut blocks = Vec::with_capacity(16);
    loop {
        let (name, numbers) = rest.strip_prefix("{\"block\":\"")?.split_once('"')?;
        if name.contains('\\') {
            return None;
        }
        rest = numbers;
        blocks.push(Block {
            block: Cow::Borrowed(name),
            _input: value(&mut rest, ",\"in\":")?,
            out: value(&mut rest, ",\"out\":")?,
            stride: value(&mut rest, ",\"stride\":")?,
            bottleneck: value(&mut rest, ",\"bottleneck\":"),
            layers: value(&mut rest, ",\"layers\":")?,
        });
        rest = rest.strip_prefix('}')?;
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (rest == "]").then_some(blocks),
        }
    }
}

/// Takes a key and its number, of less than ten digits, from the beginning of `rest`.
fn value(rest: &mut &str, key: &str) -> Option<usize> {
    let text = rest.strip_prefix(key)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits >= 10 || text.starts_with('0') {
        return None;
    }
    let number = text[..digits].bytes().fold(0, |number, digit| 10 * number + usize::from(digit - b'0'));
    *rest = &text[digits..];
    (digits > 0).then_some(number)
}

/// The number that a name ends in.
fn number(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [digit @ b'1'..=b'9'] => Some(usize::from(digit - b'0')),
        _ => None,
    }
}

/// Width of a hidden layer: a multiple of 8, ties to even, at least 8.
fn round8(width: usize) -> usize {
    ((width as f64 / 8.0).round_ties_even() as usize * 8).max(8)
}

struct Chain<'a> {
    walk: &'a mut Walk,
    borders: &'a mut Borders,
}

impl Chain<'_> {
    fn dense(&mut self, output: usize, kernel: usize, stride: usize) {
        let window = Window::square(kernel, stride);
        let fan = self.walk.channels();
        self.walk.layer(&Layer { fan, output, window, momentum: MOMENTUM }, self.borders);
    }

    fn depthwise(&mut self, kernel: usize, stride: usize) {
        let (window, output) = (Window::square(kernel, stride), self.walk.channels());
        self.walk.layer(&Layer { fan: 1, output, window, momentum: MOMENTUM }, self.borders);
    }

    /// Goes through a block; `None` if there is no such block.
    fn block(&mut self, block: &Block<'_>) -> Option<()> {
        let (name, output) = (block.block.as_ref(), block.out);
        let strides = (0..block.layers).map(|layer| if layer == 0 { block.stride } else { 1 });
        if let Some(name) = name.strip_prefix("SuperConvK") {
            let kernel = number(name.strip_suffix("BNRELU")?)?;
            strides.for_each(|stride| self.dense(output, kernel, stride));
            return Some(());
        }
        let name = name.strip_prefix("SuperRes")?;
        let width = block.bottleneck?;
        if let Some(name) = name.strip_prefix("IDWE") {
            let (expansion, kernel) = name.split_once('K')?;
            let (expansion, kernel) = (number(expansion)?, number(kernel)?);
            for stride in strides {
                for (output, stride) in [(width, stride), (output, 1)] {
                    self.dense(round8(output * expansion), 1, 1);
                    self.depthwise(kernel, stride);
                    self.dense(output, 1, 1);
                }
            }
        } else if let Some(name) = name.strip_prefix("K1K") {
            let kernel = number(name.strip_suffix("K1")?)?;
            for stride in strides {
                for stride in [stride, 1] {
                    self.dense(width, 1, 1);
                    self.dense(width, kernel, stride);
                    self.dense(output, 1, 1);
                }
            }
        } else {
            let (kernel, same) = name.strip_prefix('K')?.split_once('K')?;
            let kernel = (kernel == same).then(|| number(kernel))??;
            for stride in strides {
                self.dense(width, kernel, stride);
                self.dense(output, kernel, 1);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_to_read_blocks_equals_the_long_one() {
        let conv = r#"{"block":"SuperConvK3BNRELU","in":3,"out":64,"stride":1,"layers":1}"#;
        let res =
            r#"{"block":"SuperResK1K5K1","in":64,"out":168,"stride":2,"bottleneck":16,"layers":123456789}"#;
        for spec in [format!("[{conv}]"), format!("[{conv},{res}]"), format!("[{res},{res},{conv}]")] {
            let long: Vec<Block<'_>> = serde_json::from_str(&spec).unwrap();
            assert_eq!(written(&spec), Some(long));
        }
    }

    #[test]
    fn other_texts_are_left_to_the_long_way() {
        let block = |numbers: &str| format!(r#"[{{"block":"SuperResK1K5K1",{numbers}}}]"#);
        let good = r#""in":64,"out":168,"stride":2,"bottleneck":16,"layers":2"#;
        assert!(written(&block(good)).is_some());
        for (part, other) in [
            (":168", ": 168"),
            (":168", ":0168"),
            (":168", ":0"),
            (":168", ":"),
            (":168", ":-168"),
            (":168", ":16.8"),
            (":168", ":1e2"),
            (":168", ":9999999999"),
            (":16,", ":null,"),
            (":2,\"bot", ",\"bot"),
            ("\"layers\"", "\"depth\""),
            ("\"layers\":2", "\"layers\":2,\"more\":1"),
            ("\"out\":168,\"stride\":2", "\"stride\":2,\"out\":168"),
        ] {
            let changed = good.replacen(part, other, 1);
            assert_ne!(changed, good);
            assert_eq!(written(&block(&changed)), None, "{changed}");
        }
        for spec in
            ["", "[", "[]", "{}", &block(good)[1..], &format!("{} ", block(good)), r#"[{"block":"a\n""#]
        {
            assert_eq!(written(spec), None, "{spec}");
        }
    }
}
