//! Checks a graph and resolves it.

use std::collections::HashMap;

use super::{
    Auxiliary, Graph, GraphError, INPUT, Node, Op, Problem, ProblemKind, Resolved, SCHEMA, Shape, Source,
    Window, resolve::reaching, shape,
};

/// Characters of a node's name that are told with its problems.
const LONGEST_NAME: usize = 200;

impl Graph {
    /// Checks the graph.
    ///
    /// # Errors
    ///
    /// Fails if anything is wrong, and lists all of it.
    pub fn validate(&self) -> Result<(), GraphError> {
        self.resolve().map(drop)
    }

    /// Checks the graph and returns what follows from it: indices for names, and every shape.
    ///
    /// A problem is reported where it arises, not again at every node that depends on it.
    ///
    /// # Errors
    ///
    /// Fails if anything is wrong, and lists all of it.
    pub fn resolve(&self) -> Result<Resolved, GraphError> {
        let mut checker = Checker::default();
        if self.schema != SCHEMA {
            checker.report(None, ProblemKind::Schema { found: self.schema });
        }
        let image = Shape::map(self.input);
        let image_problem = if self.input.contains(&0) {
            Some(ProblemKind::EmptyImage(image))
        } else {
            shape::limited(&self.input).err()
        };
        let image_known = image_problem.is_none();
        if let Some(kind) = image_problem {
            checker.report(None, kind);
        }
        // Names first, so that a forward reference can be told from an unknown name.
        let mut index = HashMap::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            if node.name.is_empty() || node.name == INPUT {
                checker.report(Some(node), ProblemKind::Name);
            } else if index.contains_key(node.name.as_str()) {
                checker.report(Some(node), ProblemKind::Duplicate);
            } else {
                index.insert(node.name.as_str(), i);
            }
        }
        let mut inputs = Vec::with_capacity(self.nodes.len());
        let mut shapes: Vec<Option<Shape>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let sources = checker.sources(node, i, &index);
            let attributes_fit = checker.attributes(node);
            let known = sources.as_ref().and_then(|sources| {
                let shape_of = |source: &Source| match source {
                    Source::Image => image_known.then_some(image),
                    Source::Node(node) => shapes[*node],
                };
                sources.iter().map(shape_of).collect::<Option<Vec<_>>>()
            });
            let shape = known.filter(|_| attributes_fit).and_then(|known| {
                let shape = node.op.output_shape(&known);
                shape.map_err(|kind| checker.report(Some(node), kind)).ok()
            });
            shapes.push(shape);
            inputs.push(sources);
        }
        let output = checker.role("output", &self.output, &index);
        let features = checker.role("features", &self.features, &index);
        let auxiliary = match &self.auxiliary {
            None => Some(None),
            Some(Auxiliary { output, weight }) => {
                if !(weight.is_finite() && *weight > 0.0) {
                    checker.report(
                        None,
                        ProblemKind::Range {
                            attribute: "auxiliary.weight",
                            value: *weight,
                            expected: "a number above 0",
                        },
                    );
                }
                checker.role("auxiliary output", output, &index).map(Some)
            }
        };
        // With a broken link, what is unused is anybody's guess.
        let linked = inputs.iter().all(Option::is_some);
        let inputs: Vec<Vec<Source>> = inputs.into_iter().flatten().collect();
        if let (Some(output), Some(auxiliary), true) = (output, auxiliary, linked) {
            let goals: Vec<usize> = auxiliary.into_iter().chain([output]).collect();
            for (node, _) in self.nodes.iter().zip(reaching(&inputs, &goals)).filter(|(_, used)| !used) {
                checker.report(Some(node), ProblemKind::Unused);
            }
        }
        if let (Some(output), Some(Some(auxiliary))) = (output, auxiliary)
            && let (Some(wanted), Some(found)) = (shapes[output], shapes[auxiliary])
            && wanted != found
        {
            let name = &self.nodes[auxiliary].name;
            checker.wrong_role("auxiliary output", name, found, "the shape of the output");
        }
        if let Some(Some(found @ Shape::Map { .. })) = output.map(|output| shapes[output]) {
            checker.wrong_role("output", &self.output, found, "a vector with one logit per label");
        }
        if let Some(Some(found @ Shape::Flat(_))) = features.map(|features| shapes[features]) {
            checker.wrong_role("features", &self.features, found, "a map");
        }
        match (output, features, auxiliary, shapes.into_iter().collect::<Option<Vec<_>>>()) {
            (Some(output), Some(features), Some(auxiliary), Some(shapes)) if checker.problems.is_empty() => {
                Ok(Resolved { image, inputs, shapes, output, features, auxiliary })
            }
            _ => Err(GraphError { problems: checker.problems }),
        }
    }
}

/// Gathers problems.
#[derive(Default)]
struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    fn report(&mut self, node: Option<&Node>, kind: ProblemKind) {
        // It comes with each of the node's problems, of which there may be as many as there are inputs.
        let name = |node: &Node| node.name.chars().take(LONGEST_NAME).collect();
        let node = node.map(|node| (name(node), node.op.name()));
        self.problems.push(Problem { node, kind });
    }

    /// Resolves the inputs of node `i`; `None` if that is not possible.
    fn sources(&mut self, node: &Node, i: usize, index: &HashMap<&str, usize>) -> Option<Vec<Source>> {
        let mut sources = Some(Vec::with_capacity(node.inputs.len()));
        for input in &node.inputs {
            let source = match index.get(input.as_str()) {
                _ if input == INPUT => Ok(Source::Image),
                Some(&earlier) if earlier < i => Ok(Source::Node(earlier)),
                Some(_) => Err(ProblemKind::ForwardReference(input.clone())),
                None => Err(ProblemKind::UnknownInput(input.clone())),
            };
            match source {
                Ok(source) => sources.iter_mut().for_each(|list| list.push(source)),
                Err(kind) => {
                    self.report(Some(node), kind);
                    sources = None;
                }
            }
        }
        sources
    }

    /// Checks what can be checked without shapes.
    fn attributes(&mut self, node: &Node) -> bool {
        let before = self.problems.len();
        if let Err(kind) = node.op.check_arity(node.inputs.len()) {
            self.report(Some(node), kind);
        }
        let mut positive = |attribute, values: &[usize]| {
            if values.contains(&0) {
                self.report(Some(node), ProblemKind::NotPositive(attribute));
            }
        };
        let mut window_sizes = |window: &Window| {
            positive("kernel_shape", &window.kernel_shape);
            positive("strides", &window.strides);
            positive("dilations", &window.dilations);
        };
        match &node.op {
            Op::Conv { out_channels, window, group, .. } => {
                window_sizes(window);
                positive("out_channels", &[*out_channels]);
                positive("group", &[*group]);
                self.window_limits(node, window);
            }
            Op::Gemm { out_features, .. } => positive("out_features", &[*out_features]),
            Op::MaxPool(pool) | Op::AveragePool(pool) => {
                window_sizes(&pool.window);
                self.window_limits(node, &pool.window);
                self.pooling(node, pool);
            }
            Op::BatchNormalization { epsilon, momentum } => {
                self.range(node, "epsilon", *epsilon, *epsilon >= 0.0, "a finite number of at least 0");
                let fits = (0.0..=1.0).contains(momentum);
                self.range(node, "momentum", *momentum, fits, "a number from 0 to 1");
            }
            Op::Clip { min, max } => {
                self.range(node, "min", *min, true, "a finite number");
                self.range(node, "max", *max, min <= max, "a finite number of at least `min`");
            }
            Op::Dropout { ratio } | Op::DropPath { ratio } => {
                self.range(node, "ratio", *ratio, (0.0..1.0).contains(ratio), "a number from 0 to below 1");
            }
            _ => {}
        }
        self.problems.len() == before
    }

    /// Keeps window arithmetic far from overflow.
    fn window_limits(&mut self, node: &Node, window: &Window) {
        for sizes in [window.kernel_shape, window.strides, window.pads, window.dilations] {
            if sizes.iter().any(|&size| size > Shape::MAX_NUMEL) {
                self.report(Some(node), ProblemKind::TooLarge { dims: sizes.to_vec() });
            }
        }
    }

    fn pooling(&mut self, node: &Node, pool: &super::Pool) {
        let window = &pool.window;
        let mut unavailable = |attribute, reason| {
            self.report(Some(node), ProblemKind::Unavailable { attribute, reason });
        };
        if matches!(node.op, Op::AveragePool(_)) && window.dilations != [1, 1] {
            unavailable("dilations", "libtorch's average pooling has none");
        }
        if matches!(node.op, Op::MaxPool(_)) && pool.count_include_pad {
            unavailable("count_include_pad", "padding never wins a maximum");
        }
        if (0..2).any(|axis| window.pads[axis] > window.kernel_shape[axis] / 2) {
            self.report(Some(node), ProblemKind::Padding);
        }
    }

    fn range(
        &mut self,
        node: &Node,
        attribute: &'static str,
        value: f64,
        fits: bool,
        expected: &'static str,
    ) {
        if !(fits && value.is_finite()) {
            self.report(Some(node), ProblemKind::Range { attribute, value, expected });
        }
    }

    fn role(&mut self, role: &'static str, name: &str, index: &HashMap<&str, usize>) -> Option<usize> {
        let found = index.get(name).copied();
        if found.is_none() {
            self.report(None, ProblemKind::UnknownRole { role, name: name.to_owned() });
        }
        found
    }

    fn wrong_role(&mut self, role: &'static str, name: &str, found: Shape, expected: &'static str) {
        self.report(None, ProblemKind::Role { role, name: name.to_owned(), found, expected });
    }
}
