//! The part of ONNX's protocol buffers that models of nashost need.
//!
//! Field numbers are those of `onnx.proto` (ONNX 1.16, IR version 9). Fields that a reader may ask
//! about ("is it set?") are optional here, so that a zero is written too.

use crate::wire::Fields;

/// `TensorProto.DataType.FLOAT`.
pub(crate) const FLOAT: i32 = 1;
/// `TensorProto.DataType.INT64`.
pub(crate) const INT64: i32 = 7;

/// `AttributeProto.AttributeType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum AttributeType {
    Float = 1,
    Int = 2,
    String = 3,
    Ints = 7,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Model {
    pub(crate) ir_version: i64,
    pub(crate) producer_name: String,
    pub(crate) producer_version: String,
    pub(crate) graph: Graph,
    pub(crate) opset_import: Vec<OperatorSet>,
    pub(crate) metadata_props: Vec<Entry>,
}

impl Model {
    pub(crate) fn fields(&self) -> Fields {
        let mut out = Fields::default();
        out.int(1, self.ir_version);
        out.bytes(2, self.producer_name.as_bytes());
        out.bytes(3, self.producer_version.as_bytes());
        out.message(7, self.graph.fields());
        self.opset_import.iter().for_each(|message| out.message(8, message.fields()));
        self.metadata_props.iter().for_each(|message| out.message(14, message.fields()));
        out
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct OperatorSet {
    pub(crate) domain: String,
    pub(crate) version: i64,
}

impl OperatorSet {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        out.bytes(1, self.domain.as_bytes());
        out.int(2, self.version);
        out
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Entry {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        out.bytes(1, self.key.as_bytes());
        out.bytes(2, self.value.as_bytes());
        out
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Graph {
    pub(crate) node: Vec<Node>,
    pub(crate) name: String,
    pub(crate) initializer: Vec<Tensor>,
    pub(crate) input: Vec<ValueInfo>,
    pub(crate) output: Vec<ValueInfo>,
}

impl Graph {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        self.node.iter().for_each(|message| out.message(1, message.fields()));
        out.bytes(2, self.name.as_bytes());
        self.initializer.iter().for_each(|message| out.message(5, message.fields()));
        self.input.iter().for_each(|message| out.message(11, message.fields()));
        self.output.iter().for_each(|message| out.message(12, message.fields()));
        out
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Node {
    pub(crate) input: Vec<String>,
    pub(crate) output: Vec<String>,
    pub(crate) name: String,
    pub(crate) op_type: String,
    pub(crate) attribute: Vec<Attribute>,
}

impl Node {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        self.input.iter().for_each(|text| out.bytes(1, text.as_bytes()));
        self.output.iter().for_each(|text| out.bytes(2, text.as_bytes()));
        out.bytes(3, self.name.as_bytes());
        out.bytes(4, self.op_type.as_bytes());
        self.attribute.iter().for_each(|message| out.message(5, message.fields()));
        out
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) f: Option<f32>,
    pub(crate) i: Option<i64>,
    pub(crate) s: Option<Vec<u8>>,
    pub(crate) ints: Vec<i64>,
    pub(crate) r#type: i32,
}

impl Attribute {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        out.bytes(1, self.name.as_bytes());
        self.f.iter().for_each(|&value| out.float(2, value));
        self.i.iter().for_each(|&value| out.int(3, value));
        self.s.iter().for_each(|value| out.bytes(4, value));
        self.ints.iter().for_each(|&value| out.int(8, value));
        out.int(20, self.r#type.into());
        out
    }
}

impl Attribute {
    pub(crate) fn float(name: &str, value: f64) -> Self {
        // ONNX has floats of 32 bits here.
        Self { f: Some(value as f32), ..Self::of(name, AttributeType::Float) }
    }

    pub(crate) fn int(name: &str, value: i64) -> Self {
        Self { i: Some(value), ..Self::of(name, AttributeType::Int) }
    }

    pub(crate) fn string(name: &str, value: &str) -> Self {
        Self { s: Some(value.into()), ..Self::of(name, AttributeType::String) }
    }

    pub(crate) fn ints(name: &str, values: &[i64]) -> Self {
        Self { ints: values.to_vec(), ..Self::of(name, AttributeType::Ints) }
    }

    fn of(name: &str, kind: AttributeType) -> Self {
        Self { name: name.to_owned(), r#type: kind as i32, ..Self::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Tensor {
    pub(crate) dims: Vec<i64>,
    pub(crate) data_type: i32,
    pub(crate) name: String,
    /// Little-endian.
    pub(crate) raw_data: Vec<u8>,
}

impl Tensor {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        self.dims.iter().for_each(|&value| out.int(1, value));
        out.int(2, self.data_type.into());
        out.bytes(8, self.name.as_bytes());
        out.bytes(9, &self.raw_data);
        out
    }
}

impl Tensor {
    pub(crate) fn floats(name: String, dims: Vec<i64>, values: impl IntoIterator<Item = f32>) -> Self {
        let raw_data = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Self { dims, data_type: FLOAT, name, raw_data }
    }

    pub(crate) fn integers(name: String, values: &[i64]) -> Self {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dims: vec![values.len() as i64], data_type: INT64, name, raw_data }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ValueInfo {
    pub(crate) name: String,
    pub(crate) r#type: Type,
}

impl ValueInfo {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        out.bytes(1, self.name.as_bytes());
        out.message(2, self.r#type.fields());
        out
    }
}

impl ValueInfo {
    /// Floats whose first axis is the batch, of any size.
    pub(crate) fn batch(name: &str, sizes: &[i64]) -> Self {
        let batch = Dimension { dim_value: None, dim_param: Some("batch".to_owned()) };
        let fixed = sizes.iter().map(|&size| Dimension { dim_value: Some(size), dim_param: None });
        let shape = TensorShape { dim: std::iter::once(batch).chain(fixed).collect() };
        let tensor_type = TensorType { elem_type: FLOAT, shape };
        Self { name: name.to_owned(), r#type: Type { tensor_type } }
    }
}

/// `TypeProto`; the one member of its `oneof` that is used here.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Type {
    pub(crate) tensor_type: TensorType,
}

impl Type {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        out.message(1, self.tensor_type.fields());
        out
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TensorType {
    pub(crate) elem_type: i32,
    pub(crate) shape: TensorShape,
}

impl TensorType {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        out.int(1, self.elem_type.into());
        out.message(2, self.shape.fields());
        out
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TensorShape {
    pub(crate) dim: Vec<Dimension>,
}

impl TensorShape {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        self.dim.iter().for_each(|message| out.message(1, message.fields()));
        out
    }
}

/// `TensorShapeProto.Dimension`; exactly one of its fields is set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Dimension {
    pub(crate) dim_value: Option<i64>,
    pub(crate) dim_param: Option<String>,
}

impl Dimension {
    fn fields(&self) -> Fields {
        let mut out = Fields::default();
        self.dim_value.iter().for_each(|&value| out.int(1, value));
        self.dim_param.iter().for_each(|text| out.bytes(2, text.as_bytes()));
        out
    }
}
