//! The networks that were trained.

use maud::html;

use super::Section;
use crate::{data::ReportData, diagram, number};

pub(super) fn section(data: &ReportData) -> Option<Section> {
    data.methods.iter().any(|method| !method.networks.is_empty()).then(|| Section {
        id: "network",
        title: "Network",
        lead: "From the image at the top to the scores at the bottom. Equal neighbours are drawn once. Bars show \
               where the parameters (what is stored) and the multiply-adds (what is computed) are."
            .to_owned(),
        body: html! { div.figures { @for method in &data.methods { @for network in &method.networks {
            @let title = format!("{}, {}", method.name, network.trials.join(", "));
            @let caption = html! {
                (number::scaled(network.params as f64)) " parameters, " (number::scaled(network.macs as f64))
                " multiply-adds per image of " (network.input[0]) "×" (network.input[1]) "×" (network.input[2]) "."
                @for (name, score) in &network.scores {
                    " " (name) " "
                    @match score { Some(score) => { (number::fixed(*score, 3)) } None => "undefined" }
                    "."
                }
                " Graph " code { (network.id.get(..12).unwrap_or(&network.id)) } "."
            };
            (diagram::figure(&title, network, &caption))
        } } } },
    })
}
