//! The official estimator: scores from truncated walks, and the alphas' update.

/// Returns each player's mean minus population standard deviation over the walks. Losses of players
/// that a walk did not reach are zeros that count.
pub fn scores(walks: &[Vec<f64>]) -> Vec<f64> {
    let players = walks.first().map_or(0, Vec::len);
    let n = walks.len() as f64;
    (0..players)
        .map(|player| {
            let losses = walks.iter().map(|walk| walk[player]);
            let mean = losses.clone().sum::<f64>() / n;
            let variance = losses.map(|loss| (loss - mean).powi(2)).sum::<f64>() / n;
            mean - variance.sqrt()
        })
        .collect()
}

/// Returns the z-scores of one cell type's scores, with the sample standard deviation.
///
/// If all are equal they are NaN with `nan_on_equal`, as in the official code, else 0.
pub fn z_scores(scores: &[f64], nan_on_equal: bool) -> Vec<f64> {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let deviation = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    // Rounding of the mean alone is no difference.
    let equal = scores.iter().all(|score| *score == scores[0]);
    let z = |score: &f64| match (equal, nan_on_equal) {
        (false, _) => (score - mean) / deviation,
        (true, true) => f64::NAN,
        (true, false) => 0.0,
    };
    scores.iter().map(z).collect()
}

/// Moves the accumulated scores and the alphas of one cell type by its z-scores:
/// `accumulated = momentum · accumulated + (1 - momentum) · z`, `alpha += step · accumulated`.
pub fn update(alphas: &mut [f64], accumulated: &mut [f64], z: &[f64], momentum: f64, step: f64) {
    for ((alpha, accumulated), z) in alphas.iter_mut().zip(accumulated).zip(z) {
        *accumulated = momentum * *accumulated + (1.0 - momentum) * z;
        *alpha += step * *accumulated;
    }
}

/// Returns whether `player` is the last one of its edge; players of an edge follow each other, `ops` of
/// them.
pub fn is_last(player: usize, present: &[bool], ops: usize) -> bool {
    let edge = player / ops * ops;
    (edge..edge + ops).all(|other| other == player || !present[other])
}
