//! Grad-CAM (Selvaraju et al., ICCV 2017).

use nashost_plugin_api::graph::Shape;
use nashost_plugin_torch::{Mode, Network, TorchError, Weights};
use tch::{Kind, TchError, Tensor};

/// Why there is no map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaliencyError {
    /// The network does not run.
    #[error(transparent)]
    Network(#[from] TorchError),
    /// libtorch refused something.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// Maps of a network: of the last value that still has rows and columns.
#[derive(Debug)]
pub struct Cam<'a> {
    network: &'a Network,
    tap: String,
    size: [usize; 2],
}

impl<'a> Cam<'a> {
    /// Finds the value whose maps tell where; there is none if no value has more than one place.
    ///
    /// # Errors
    ///
    /// Fails if the graph is not valid.
    pub fn new(network: &'a Network) -> Result<Option<Self>, SaliencyError> {
        let graph = network.graph();
        let shapes = graph.shapes().map_err(TorchError::from)?;
        let places = shapes.iter().enumerate().rev().find_map(|(node, shape)| match *shape {
            Shape::Map { height, width, .. } if height * width > 1 => Some((node, [height, width])),
            _ => None,
        });
        Ok(places.map(|(node, size)| Self { network, tap: graph.nodes[node].name.clone(), size }))
    }

    /// Name of the node whose value is looked at.
    pub fn tap(&self) -> &str {
        &self.tap
    }

    /// Rows and columns of the maps.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Returns a map of each of `labels` for each of `images` (`N×C×H×W`): `N×rows×columns`, fp32 on the
    /// CPU, at least 0.
    ///
    /// Channel k is weighed by the mean over all places of ∂logit/∂A_k (eq. 1); the map is what is positive
    /// of the weighted sum (eq. 2). Batch normalisation uses its running statistics.
    ///
    /// # Errors
    ///
    /// Fails if images or weights do not fit the network, or the device fails.
    pub fn maps(
        &self,
        weights: &Weights,
        images: &Tensor,
        labels: &[usize],
    ) -> Result<Vec<Tensor>, SaliencyError> {
        let output = self.network.graph().output.as_str();
        // Gradients are wanted of an inner value; that the images want them, too, makes it record them.
        let images = images.f_detach()?.f_set_requires_grad(true)?;
        let taps = [self.tap.as_str(), output];
        let values = self.network.forward_taps(weights, &images, Mode::Eval, &taps)?;
        let (features, logits) = (&values[0], &values[1]);
        let map = |(index, label): (usize, &usize)| -> Result<Tensor, SaliencyError> {
            let sum = logits.f_select(1, *label as i64)?.f_sum(Kind::Float)?;
            let keep = index + 1 < labels.len();
            let gradient = Tensor::f_run_backward(&[sum], &[features], keep, false)?.swap_remove(0);
            let weight = gradient.f_mean_dim([2, 3].as_slice(), true, None)?;
            let map = features.f_detach()?.f_mul(&weight)?.f_sum_dim_intlist([1].as_slice(), false, None)?;
            Ok(map.f_relu()?.f_detach()?.f_to_kind(Kind::Float)?.f_to_device(tch::Device::Cpu)?)
        };
        labels.iter().enumerate().map(map).collect()
    }

    /// Returns `maps` (`N×rows×columns`), enlarged bilinearly to squares of `side`.
    ///
    /// # Errors
    ///
    /// Fails if memory runs out.
    pub fn enlarge(maps: &Tensor, side: usize) -> Result<Tensor, SaliencyError> {
        let size = [side as i64; 2];
        Ok(maps.f_unsqueeze(1)?.f_upsample_bilinear2d(size, false, None, None)?.f_squeeze_dim(1)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use nashost_plugin_api::graph::{GraphBuilder, INPUT, Window};
    use nashost_plugin_torch::gaussian;
    use tch::Device;

    use super::*;

    pub(crate) fn network() -> Network {
        let mut g = GraphBuilder::new([3, 8, 8]);
        let x = g.conv("conv1", INPUT, 4, Window::square(3, 2), 1, false);
        let x = g.batch_norm("bn1", &x, 1e-5);
        let x = g.relu("relu1", &x);
        let x = g.conv("conv2", &x, 5, Window::square(3, 1), 1, true);
        let x = g.relu("relu2", &x);
        let pooled = g.global_average_pool("avgpool", &x);
        let flat = g.flatten("flatten", &pooled);
        let logits = g.gemm("fc", &flat, 2, true);
        Network::new(g.finish(&logits, &x).unwrap()).unwrap()
    }

    fn largest(tensor: &Tensor) -> f64 {
        tensor.abs().max().double_value(&[])
    }

    #[test]
    fn before_a_pool_and_a_linear_layer_the_map_is_the_class_activation_map() {
        let network = network();
        let weights = network.initialize(3);
        let images = gaussian(5, &[6, 3, 8, 8]);
        let cam = Cam::new(&network).unwrap().unwrap();
        assert_eq!((cam.tap(), cam.size()), ("relu2", [4, 4]));
        let maps = cam.maps(&weights, &images, &[0, 1]).unwrap();
        let features = network.forward_taps(&weights, &images, Mode::Eval, &["relu2"]).unwrap().remove(0);
        let place = network.parameters().iter().position(|p| p.name == "fc.weight").unwrap();
        for (label, map) in maps.iter().enumerate() {
            // ∂ mean over 16 places is 1/16 everywhere: weights of the linear layer, by 16 (Zhou et al. 2016).
            let row = weights.tensors()[place].select(0, label as i64).view([1, 5, 1, 1]) / 16.0;
            let expected = (&features * row).sum_dim_intlist([1].as_slice(), false, Kind::Float).relu();
            assert_eq!(map.size(), [6, 4, 4]);
            assert!(largest(&(map - &expected)) < 1e-6 * largest(&expected).max(1e-3));
            assert!(!map.requires_grad());
        }
        assert!(largest(&(&maps[0] - &maps[1])) > 1e-4, "each label has a map of its own");
    }

    #[test]
    fn one_image_alone_has_the_map_that_it_has_among_others() {
        let network = network();
        let weights = network.initialize(3);
        let images = gaussian(5, &[6, 3, 8, 8]);
        let cam = Cam::new(&network).unwrap().unwrap();
        let all = cam.maps(&weights, &images, &[1]).unwrap().remove(0);
        let one = cam.maps(&weights, &images.narrow(0, 4, 1), &[1]).unwrap().remove(0);
        // Another batch size may add up in another order.
        assert!(largest(&(one.squeeze_dim(0) - all.get(4))) < 1e-6);
    }

    #[test]
    fn a_map_is_enlarged_over_the_whole_image() {
        let map = Tensor::from_slice(&[0.0f32, 0.0, 0.0, 1.0]).view([1, 2, 2]);
        let large = Cam::enlarge(&map, 8).unwrap();
        assert_eq!(large.size(), [1, 8, 8]);
        assert_eq!((large.double_value(&[0, 7, 7]), large.double_value(&[0, 0, 0])), (1.0, 0.0));
        assert_eq!(large.device(), Device::Cpu);
    }

    #[test]
    fn a_network_whose_values_have_one_place_has_no_map() {
        let mut g = GraphBuilder::new([3, 1, 1]);
        let x = g.conv("conv1", INPUT, 4, Window::square(1, 1), 1, false);
        let flat = g.flatten("flatten", &x);
        let logits = g.gemm("fc", &flat, 2, true);
        let network = Network::new(g.finish(&logits, &x).unwrap()).unwrap();
        assert!(Cam::new(&network).unwrap().is_none());
    }
}
