//! Where a network looks: Grad-CAM, scored against the places of findings, with the check that the map is
//! about what was learnt.
//!
//! [`Cam`] computes maps of any graph; [`point`] plays the pointing game with one of them; [`examine()`]
//! does both for many findings, with the trained weights and with layers drawn anew from the output
//! downwards. A map that points as well with random weights shows the image and not what was learnt
//! (Adebayo et al., *Sanity Checks for Saliency Maps*, NeurIPS 2018).

#![forbid(unsafe_code)]

mod cam;
mod examine;
mod pointing;
mod randomise;

pub use self::{
    cam::{Cam, SaliencyError},
    examine::{Case, Found, Seen, Stage, examine},
    pointing::{Pointing, point},
    randomise::randomised,
};
