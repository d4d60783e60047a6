//! What a proxy is worth: its rank correlation with results of training, and with mere size.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    Alternative, Result, Undefined,
    bootstrap::{LEAST, Settings, bootstrap},
    correlation::{Correlation, kendall, spearman},
    error::{paired, share},
};

/// Structures with what is known of them before training, and what training gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Structures {
    /// Trained result of each structure, such as the mean over seeds; higher is better.
    pub trained: Vec<f64>,
    /// Values of each structure by the name of a proxy, none where it is undefined.
    pub proxies: BTreeMap<String, Vec<Option<f64>>>,
    /// Sizes of each structure by name, such as `params` and `macs`.
    pub sizes: BTreeMap<String, Vec<f64>>,
}

/// A rank correlation with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Association {
    /// Spearman's ρ.
    pub rho: f64,
    /// Interval by Fisher's transformation; none if ρ is ±1 or there are too few structures.
    pub interval: Option<[f64; 2]>,
    /// Percentile interval of the bootstrap over structures; none if there are no resamples, or ρ is
    /// undefined in too many.
    pub bootstrap: Option<[f64; 2]>,
    /// The p of "no association".
    pub p: Option<f64>,
    /// Kendall's τ-b.
    pub tau: f64,
}

/// What a proxy is worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worth {
    /// Name of the proxy or size.
    pub proxy: String,
    /// Structures where it is defined.
    pub structures: usize,
    /// With the results of training.
    pub trained: Option<Association>,
    /// With each size.
    pub sizes: BTreeMap<String, Option<Association>>,
    /// Spearman's partial ρ with the results, given each size: what the proxy knows beyond it.
    pub beyond: BTreeMap<String, Option<f64>>,
    /// Why a number is missing.
    pub why: Option<String>,
}

/// Correlates every proxy, and every size, with the results of training and with the sizes. Without
/// resamples, there are no intervals of the bootstrap.
///
/// # Errors
///
/// If columns differ in length, `level` is not between 0 and 1, or there are some resamples but fewer than
/// [`LEAST`].
pub fn check(structures: &Structures, level: f64, settings: Settings) -> Result<Vec<Worth>> {
    valid(level, settings)?;
    let n = structures.trained.len();
    for column in structures.proxies.values() {
        paired(column.len(), n)?;
    }
    for column in structures.sizes.values() {
        paired(column.len(), n)?;
    }
    let sizes = structures.sizes.iter();
    let sizes = sizes.map(|(name, values)| (name, values.iter().copied().map(Some).collect::<Vec<_>>()));
    let proxies = structures.proxies.iter().map(|(name, values)| (name, values.clone()));
    Ok(proxies.chain(sizes).map(|(name, values)| worth(structures, name, &values, level, settings)).collect())
}

/// Checks what all intervals depend on: wrong settings are no property of a proxy.
fn valid(level: f64, settings: Settings) -> Result<()> {
    share("the level", level)?;
    if (1..LEAST).contains(&settings.resamples) {
        let value = settings.resamples as f64;
        let name = "the number of resamples";
        return Err(Undefined::Parameter { name, value, allowed: "0, or at least 1000" });
    }
    Ok(())
}

fn worth(
    structures: &Structures,
    name: &str,
    values: &[Option<f64>],
    level: f64,
    settings: Settings,
) -> Worth {
    let defined: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_some()).collect();
    let proxy: Vec<f64> = defined.iter().filter_map(|&i| values[i]).collect();
    let of = |column: &[f64]| -> Vec<f64> { defined.iter().map(|&i| column[i]).collect() };
    let trained = of(&structures.trained);
    let mut why = None;
    let mut keep = |found: Result<Association>| found.map_err(|reason| why = Some(reason.to_string())).ok();
    let with_trained = keep(association(&proxy, &trained, level, settings));
    let others = structures.sizes.iter().filter(|(size, _)| *size != name);
    let (mut sizes, mut beyond) = (BTreeMap::new(), BTreeMap::new());
    for (size, column) in others {
        let column = of(column);
        sizes.insert(size.clone(), association(&proxy, &column, level, settings).ok());
        beyond.insert(size.clone(), partial(&proxy, &trained, &column));
    }
    Worth { proxy: name.to_owned(), structures: proxy.len(), trained: with_trained, sizes, beyond, why }
}

/// Both rank correlations of two columns, with intervals over structures.
///
/// # Errors
///
/// As [`spearman`], and if `level` or `settings` are none that [`check`] takes.
pub fn association(x: &[f64], y: &[f64], level: f64, settings: Settings) -> Result<Association> {
    valid(level, settings)?;
    let rho: Correlation = spearman(x, y, Alternative::TwoSided)?;
    let tau = kendall(x, y, Alternative::TwoSided)?;
    Ok(Association {
        rho: rho.coefficient,
        interval: rho.interval(level).ok(),
        bootstrap: drawn(x, y, level, settings)?,
        p: rho.p,
        tau: tau.coefficient,
    })
}

/// The percentile interval of ρ over structures, if it is wanted and ρ is defined often enough.
fn drawn(x: &[f64], y: &[f64], level: f64, settings: Settings) -> Result<Option<[f64; 2]>> {
    if settings.resamples == 0 {
        return Ok(None);
    }
    let structures: Vec<Vec<usize>> = (0..x.len()).map(|i| vec![i]).collect();
    let drawn = bootstrap(&structures, settings, |rows| {
        let of = |values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<_>>();
        spearman(&of(x), &of(y), Alternative::TwoSided).ok().map(|found| found.coefficient)
    });
    match drawn.and_then(|drawn| drawn.percentile(level)) {
        Ok(interval) => Ok(Some(interval)),
        Err(Undefined::Resamples { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Spearman's partial correlation of x and y given z; none if one determines another.
fn partial(x: &[f64], y: &[f64], z: &[f64]) -> Option<f64> {
    let rho = |a: &[f64], b: &[f64]| Some(spearman(a, b, Alternative::TwoSided).ok()?.coefficient);
    let (xy, xz, yz) = (rho(x, y)?, rho(x, z)?, rho(y, z)?);
    let left = (1.0 - xz * xz) * (1.0 - yz * yz);
    (left > 1e-12).then(|| ((xy - xz * yz) / left.sqrt()).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Structures whose result follows their size, with a proxy that is size, one that knows the rest,
    /// and one that is broken.
    fn structures() -> Structures {
        let size: Vec<f64> = (0..30).map(f64::from).collect();
        let rest: Vec<f64> = (0..30).map(|i| f64::from(i * 7 % 30)).collect();
        let trained = size.iter().zip(&rest).map(|(size, rest)| size + rest).collect();
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let mut gaps = some(&rest);
        gaps[3] = None;
        let proxies = [
            ("size-like", some(&size.iter().map(|s| s.exp2()).collect::<Vec<_>>())),
            ("rest", gaps),
            ("constant", vec![Some(1.0); 30]),
        ];
        Structures {
            trained,
            proxies: proxies.map(|(name, values)| (name.to_owned(), values)).into(),
            sizes: BTreeMap::from([("params".to_owned(), size)]),
        }
    }

    #[test]
    fn size_in_disguise_is_seen_as_such() {
        let worths = check(&structures(), 0.95, Settings::default()).unwrap();
        let of = |name: &str| worths.iter().find(|worth| worth.proxy == name).unwrap();
        let disguised = of("size-like");
        let association = disguised.trained.unwrap();
        assert!(association.rho > 0.5 && association.p.unwrap() < 0.01, "{association:?}");
        assert_eq!(disguised.sizes["params"].unwrap().rho, 1.0);
        assert_eq!(disguised.beyond["params"], None, "nothing is left when size is known");
        let rest = of("rest");
        assert_eq!(rest.structures, 29, "what is undefined is left out, not 0");
        assert!(rest.beyond["params"].unwrap() > 0.9, "{rest:?}");
        let (fisher, drawn) =
            (rest.trained.unwrap().interval.unwrap(), rest.trained.unwrap().bootstrap.unwrap());
        assert!((fisher[0] - drawn[0]).abs() < 0.2 && (fisher[1] - drawn[1]).abs() < 0.2);
        let constant = of("constant");
        assert!(constant.trained.is_none() && constant.why.as_ref().unwrap().contains("no spread"));
        assert!(of("params").trained.is_some() && of("params").sizes.is_empty());
    }

    #[test]
    fn settings_of_intervals_blank_no_correlation() {
        let drawn = check(&structures(), 0.95, Settings::default()).unwrap();
        let bare = check(&structures(), 0.95, Settings { resamples: 0, seed: 0 }).unwrap();
        for (drawn, bare) in drawn.iter().zip(&bare) {
            let without =
                |with: Option<Association>| with.map(|with| Association { bootstrap: None, ..with });
            assert_eq!(without(drawn.trained), bare.trained);
            assert_eq!(drawn.trained.is_some(), drawn.trained.and_then(|with| with.bootstrap).is_some());
        }
        for (level, resamples) in [(0.95, 1), (0.95, LEAST - 1), (1.0, 2000), (f64::NAN, 0)] {
            let wrong = check(&structures(), level, Settings { resamples, seed: 0 });
            assert!(matches!(wrong, Err(Undefined::Parameter { .. })), "{level} {resamples}: {wrong:?}");
        }
        assert!(check(&structures(), 0.95, Settings { resamples: LEAST, seed: 0 }).is_ok());
    }

    #[test]
    fn columns_must_fit() {
        let mut wrong = structures();
        wrong.sizes.insert("macs".to_owned(), vec![1.0]);
        assert!(matches!(check(&wrong, 0.95, Settings::default()), Err(Undefined::Unpaired { .. })));
        let few = Structures { trained: vec![1.0], sizes: BTreeMap::new(), ..structures() };
        assert!(check(&few, 0.95, Settings::default()).is_err());
    }
}
