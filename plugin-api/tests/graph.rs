//! The architecture graph: validation, costs, JSON, transformation.

use nashost_plugin_api::graph::{
    Auxiliary, Graph, GraphBuilder, GraphError, GraphJsonError, INPUT, Node, Op, ProblemKind, Shape, Source,
    Window,
};
use proptest::prelude::*;

#[path = "../../tests/fixtures/graph/arbitrary.rs"]
mod arbitrary;

/// A two-block network with a projection, small enough to count by hand.
fn small() -> Graph {
    let mut g = GraphBuilder::new([3, 8, 8]);
    let x = g.conv("stem", INPUT, 4, Window::square(3, 2), 1, false);
    let stem = g.relu("relu", &x);
    let x = g.conv("block.conv", &stem, 6, Window::square(3, 2), 1, false);
    let main = g.batch_norm("block.bn", &x, 1e-5);
    let skip = g.conv("block.proj", &stem, 6, Window::square(1, 2), 1, true);
    let x = g.residual("block.add", &main, &skip);
    let features = g.relu("block.relu", &x);
    let x = g.global_average_pool("pool", &features);
    let x = g.flatten("flatten", &x);
    let logits = g.gemm("fc", &x, 2, true);
    g.finish(&logits, &features).expect("valid")
}

fn problems(graph: &Graph) -> Vec<(Option<String>, ProblemKind)> {
    let error: GraphError = graph.validate().expect_err("invalid");
    error.problems.into_iter().map(|problem| (problem.node.map(|(name, _)| name), problem.kind)).collect()
}

/// [`small`] with an auxiliary classifier on its stem.
fn auxiliary(outputs: usize, weight: f64) -> Graph {
    let mut graph = small();
    let node =
        |name: &str, op, input: &str| Node { name: name.to_owned(), op, inputs: vec![input.to_owned()] };
    graph.nodes.splice(
        2..2,
        [
            node("aux.pool", Op::GlobalAveragePool, "relu"),
            node("aux.flatten", Op::Flatten, "aux.pool"),
            node("aux.fc", Op::Gemm { out_features: outputs, bias: true }, "aux.flatten"),
        ],
    );
    graph.auxiliary = Some(Auxiliary { output: "aux.fc".to_owned(), weight });
    graph
}

#[test]
fn an_auxiliary_classifier_counts_nothing_and_can_be_left_out() {
    let graph = auxiliary(2, 0.4);
    let resolved = graph.resolve().unwrap();
    assert_eq!(resolved.auxiliary, Some(4));
    let training_only = resolved.reaches_output().iter().filter(|reaches| !**reaches).count();
    assert_eq!(training_only, 3);
    assert!(resolved.releases().concat().iter().all(|value| *value != Source::Node(4)));
    assert_eq!(graph.costs(), small().costs());
    assert_eq!(graph.without_auxiliary(), small());
    assert_eq!(graph.without_residual_links(), small().without_residual_links());
    assert_eq!(small().without_auxiliary(), small());
    assert_eq!(Graph::from_json(&graph.to_json()).unwrap(), graph);
    assert_ne!(graph.hash(), small().hash());
}

#[test]
fn what_is_wrong_with_an_auxiliary_classifier_is_said() {
    let text = |graph: Graph| graph.validate().unwrap_err().to_string();
    assert!(text(auxiliary(3, 0.4)).contains("auxiliary output"), "{}", text(auxiliary(3, 0.4)));
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(text(auxiliary(2, weight)).contains("`auxiliary.weight`"));
    }
    let mut missing = auxiliary(2, 0.4);
    missing.auxiliary = Some(Auxiliary { output: "nowhere".to_owned(), weight: 0.4 });
    assert!(text(missing).contains("nowhere"));
    let mut dead = auxiliary(2, 0.4);
    dead.auxiliary = None;
    assert_eq!(problems(&dead).len(), 3, "nodes that lead nowhere");
}

#[test]
fn costs_of_a_small_network() {
    let costs = small().costs().unwrap();
    assert_eq!(costs.params, 108 + 216 + 12 + (24 + 6) + (12 + 2));
    assert_eq!(costs.buffers, 6 + 6 + 1);
    assert_eq!(costs.macs, 108 * 16 + 216 * 4 + 24 * 4 + 12);
    // stem and relu 64 each; conv, bn, proj, add, relu 24 each; pool, flatten 6 each; fc 2.
    assert_eq!(costs.activations, 2 * 64 + 5 * 24 + 2 * 6 + 2);
    // The image (192) and the stem's answer; afterwards the image is gone.
    assert_eq!(costs.peak_activations, 192 + 64);
    assert_eq!(costs.layers, 4);
}

#[test]
fn all_problems_are_reported_at_once_with_their_nodes() {
    let mut g = GraphBuilder::new([3, 8, 8]);
    g.conv("a", INPUT, 4, Window::square(9, 1).pads(0), 1, false);
    g.conv("b", INPUT, 4, Window::square(3, 1), 2, false);
    g.conv("b", INPUT, 0, Window::square(0, 1), 1, false);
    g.add("c", &["a"]);
    g.node("d", Op::Clip { min: 1.0, max: f64::NAN }, &["missing"]);
    g.relu("e", "f");
    g.gemm("f", INPUT, 2, true);
    g.node("g", Op::Dropout { ratio: 1.0 }, &["f", "e"]);
    let error = g.finish("g", "nowhere").unwrap_err();
    assert_problems(
        &error,
        &[
            "node `b` (Conv): the name is taken by an earlier node",
            "node `a` (Conv): a kernel of 9×9 does not fit into 3×8×8 with padding 0×0",
            "node `b` (Conv): group 2 does not divide both the 3 input and the 4 output channels",
            "node `b` (Conv): `kernel_shape` must be at least 1",
            "node `b` (Conv): `out_channels` must be at least 1",
            "node `c` (Add): expected at least 2 inputs, found 1",
            "node `d` (Clip): input `missing` does not exist",
            "node `d` (Clip): `max` is NaN, expected a finite number of at least `min`",
            "node `e` (Relu): input `f` is not an earlier node",
            "node `f` (Gemm): expected a vector, found a map of 3×8×8; is a Flatten missing?",
            "node `g` (Dropout): expected 1 input, found 2",
            "node `g` (Dropout): `ratio` is 1, expected a number from 0 to below 1",
            "`features` names `nowhere`, which is not a node",
        ],
    );
}

fn assert_problems(error: &GraphError, expected: &[&str]) {
    let found: Vec<_> = error.problems.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

/// A text of a megabyte could otherwise make an error of gigabytes.
#[test]
fn a_long_name_is_not_told_in_full_with_each_problem() {
    let mut graph = small();
    let inputs = vec!["gone".to_owned(); 1000];
    graph.nodes.push(Node { name: "n".repeat(100_000), op: Op::Concat, inputs });
    let text = graph.validate().unwrap_err().to_string();
    assert_eq!(text.matches("input `gone` does not exist").count(), 1000);
    assert!(text.len() < 1000 * 300, "{} bytes", text.len());
}

#[test]
fn dead_nodes_are_named() {
    let mut graph = small();
    let dead = |name: &str, input: &str| Node { name: name.into(), op: Op::Relu, inputs: vec![input.into()] };
    graph.nodes.insert(2, dead("dead", "stem"));
    graph.nodes.insert(3, dead("dead.child", "dead"));
    let unused = ProblemKind::Unused;
    assert_eq!(
        problems(&graph),
        [(Some("dead".to_owned()), unused.clone()), (Some("dead.child".to_owned()), unused)]
    );
}

#[test]
fn output_must_be_a_vector_and_features_a_map() {
    let mut graph = small();
    std::mem::swap(&mut graph.output, &mut graph.features);
    graph.nodes.truncate(7);
    assert!(matches!(&problems(&graph)[..], [(None, ProblemKind::UnknownRole { role: "features", .. }), ..]));
    let mut graph = small();
    graph.features = "fc".to_owned();
    assert!(matches!(
        &problems(&graph)[..],
        [(None, ProblemKind::Role { role: "features", found: Shape::Flat(2), .. })]
    ));
}

#[test]
fn sizes_that_would_overflow_are_refused() {
    let mut g = GraphBuilder::new([3, 1 << 15, 1 << 15]);
    let x = g.conv("wide", INPUT, 1 << 40, Window::square(1, 1), 1, false);
    let x = g.flatten("flatten", &x);
    let y = g.gemm("fc", &x, 1, false);
    let error = g.finish(&y, "wide").unwrap_err();
    assert!(matches!(error.problems[0].kind, ProblemKind::TooLarge { .. }), "{error}");
}

#[test]
fn json_refuses_what_it_does_not_understand() {
    let text = small().to_json();
    let read = |text: &str| Graph::from_json(text).unwrap_err();
    assert!(matches!(
        read(&text.replace(r#""schema":1"#, r#""schema":2"#)),
        GraphJsonError::Schema { found } if found == 2
    ));
    assert!(matches!(read("{}"), GraphJsonError::Schema { .. }));
    let unknown = text.replace(r#"{"type":"Relu"}"#, r#"{"type":"Relu","slope":0.1}"#);
    let GraphJsonError::UnknownKeys(keys) = read(&unknown) else { panic!("accepted {unknown}") };
    assert_eq!(keys, ["nodes[1].op.slope", "nodes[6].op.slope"]);
    for (from, to) in
        [(r#""output":"#, r#""extra":0,"output":"#), (r#""group":1"#, r#""group":1,"groups":1"#)]
    {
        assert!(matches!(read(&text.replacen(from, to, 1)), GraphJsonError::Form(_)), "{to}");
    }
    let invalid = text.replace(r#""out_features":2"#, r#""out_features":0"#);
    assert!(matches!(read(&invalid), GraphJsonError::Invalid(_)));
}

#[test]
fn defaults_may_be_left_out_and_do_not_change_the_hash() {
    let graph = small();
    let short =
        graph.to_json().replace(r#","dilations":[1,1]"#, "").replace(r#""initialization":"pytorch","#, "");
    assert!(short.len() < graph.to_json().len());
    assert_eq!(Graph::from_json(&short).unwrap().hash(), graph.hash());
}

/// Pins the canonical form: a changed hash would orphan every stored architecture.
#[test]
fn hash_is_stable() {
    let mut g = GraphBuilder::new([1, 2, 2]);
    let x = g.relu("r", INPUT);
    let flat = g.flatten("f", &x);
    let y = g.gemm("fc", &flat, 1, false);
    let graph = g.finish(&y, &x).unwrap();
    assert_eq!(
        graph.to_json(),
        concat!(
            r#"{"schema":1,"input":[1,2,2],"initialization":"pytorch","nodes":["#,
            r#"{"name":"r","op":{"type":"Relu"},"inputs":["input"]},"#,
            r#"{"name":"f","op":{"type":"Flatten"},"inputs":["r"]},"#,
            r#"{"name":"fc","op":{"type":"Gemm","out_features":1,"bias":false},"inputs":["f"]}],"#,
            r#""output":"fc","features":"r"}"#
        )
    );
    // `printf '%s' '<the text above>' | sha256sum`
    assert_eq!(graph.hash(), "970798aded60e6ffd41a1d72ebd1a96b21f092f829cf363ac5eb6bbcf93f6fce");
}

#[test]
fn removing_residual_links_drops_projections() {
    let plain = small().without_residual_links();
    let names: Vec<_> = plain.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["stem", "relu", "block.conv", "block.bn", "block.relu", "pool", "flatten", "fc"]);
    assert_eq!(plain.nodes[4].inputs, ["block.bn"]);
    plain.validate().unwrap();
}

#[test]
fn schema_names_every_operator() {
    let schema = serde_json::to_string(&schemars::schema_for!(Graph)).unwrap();
    for op in ["Conv", "BatchNormalization", "GlobalAveragePool", "DropPath"] {
        assert!(schema.contains(&format!(r#""const":"{op}""#)), "{op} is missing in {schema}");
    }
}

proptest! {
    #[test]
    fn json_round_trips_with_equal_hash(graph in arbitrary::graphs()) {
        let back = Graph::from_json(&graph.to_json()).unwrap();
        prop_assert_eq!(back.hash(), graph.hash());
        prop_assert_eq!(back, graph);
    }

    #[test]
    fn any_topological_order_is_valid_and_costs_the_same(graph in arbitrary::graphs(), order in any::<u64>()) {
        let mut state = order;
        let mut shuffled = Graph { nodes: vec![], ..graph.clone() };
        let mut rest = graph.nodes.clone();
        while !rest.is_empty() {
            let ready = |node: &Node| node.inputs.iter().all(|input| rest.iter().all(|other| other.name != *input));
            let ready: Vec<_> = (0..rest.len()).filter(|&i| ready(&rest[i])).collect();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.nodes.push(rest.remove(ready[(state >> 33) as usize % ready.len()]));
        }
        let (a, b) = (graph.costs().unwrap(), shuffled.costs().unwrap());
        // Only the peak depends on the order.
        prop_assert_eq!((a.params, a.buffers, a.macs, a.activations), (b.params, b.buffers, b.macs, b.activations));
    }

    #[test]
    fn reversed_nodes_are_refused(graph in arbitrary::graphs()) {
        let mut graph = graph;
        graph.nodes.reverse();
        let found = problems(&graph);
        prop_assert!(found.iter().any(|(_, kind)| matches!(kind, ProblemKind::ForwardReference(_))));
    }

    #[test]
    fn totals_are_sums_over_nodes(graph in arbitrary::graphs()) {
        let (costs, nodes) = (graph.costs().unwrap(), graph.node_costs().unwrap());
        prop_assert_eq!(costs.params, nodes.iter().map(|cost| cost.params).sum::<u64>());
        prop_assert_eq!(costs.macs, nodes.iter().map(|cost| cost.macs).sum::<u64>());
        prop_assert_eq!(costs.activations, nodes.iter().map(|cost| cost.activations).sum::<u64>());
        let image: usize = graph.input.iter().product();
        prop_assert!(costs.peak_activations <= costs.activations + image as u64);
    }

    #[test]
    fn without_residual_links_stays_valid_and_has_none(graph in arbitrary::graphs()) {
        let plain = graph.without_residual_links();
        prop_assert!(plain.validate().is_ok(), "{:?}", plain.validate());
        let linked = plain.nodes.iter().any(|node| node.op == Op::Add { residual: true });
        prop_assert!(!linked);
        prop_assert_eq!(plain.without_residual_links(), plain);
    }
}
