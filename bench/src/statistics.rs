//! Whether two samples can be told apart.

/// What two samples say about each other. Each `p` is the chance of a difference at least as great
/// between samples of one and the same distribution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    /// Welch's t, which sees means that differ.
    pub(crate) t: f64,
    pub(crate) t_p: f64,
    /// Mann and Whitney's U, as a normal deviate, which sees one sample that tends to be greater.
    pub(crate) u_z: f64,
    pub(crate) u_p: f64,
    /// Kolmogorov and Smirnov's D, which sees any difference in shape.
    pub(crate) d: f64,
    pub(crate) d_p: f64,
}

impl Comparison {
    /// Neither sample may be empty.
    pub(crate) fn of(a: &[f64], b: &[f64]) -> Comparison {
        let t = welch(a, b);
        let u_z = mann_whitney(a, b);
        let (d, d_p) = kolmogorov_smirnov(a, b);
        Comparison {
            t,
            // With hundreds of values Student's distribution is the normal one.
            t_p: two_sided(t),
            u_z,
            u_p: two_sided(u_z),
            d,
            d_p,
        }
    }

    /// The least of the three.
    pub(crate) fn least_p(&self) -> f64 {
        self.t_p.min(self.u_p).min(self.d_p)
    }
}

pub(crate) fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

/// The middle value, or the mean of both.
pub(crate) fn median(sample: &[f64]) -> f64 {
    let sorted = sorted(sample);
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[half - 1] + sorted[half]) / 2.0,
        _ => sorted[half],
    }
}

fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn welch(a: &[f64], b: &[f64]) -> f64 {
    let variance_of_mean = |sample: &[f64]| {
        let mean = mean(sample);
        let squares: f64 = sample.iter().map(|x| (x - mean).powi(2)).sum();
        squares / (sample.len() as f64 - 1.0) / sample.len() as f64
    };
    (mean(a) - mean(b)) / (variance_of_mean(a) + variance_of_mean(b)).sqrt()
}

/// Equal values share their ranks. Times in nanoseconds are hardly ever equal, so the variance is
/// that without ties.
fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = a.iter().map(|x| (*x, true)).collect();
    all.extend(b.iter().map(|x| (*x, false)));
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let mut ranks = 0.0;
    let mut begin = 0;
    while begin < all.len() {
        let equal = all[begin..].iter().take_while(|x| x.0 == all[begin].0);
        let end = begin + equal.count();
        let rank = (begin + 1 + end) as f64 / 2.0;
        ranks += rank * all[begin..end].iter().filter(|x| x.1).count() as f64;
        begin = end;
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let u = ranks - n * (n + 1.0) / 2.0;
    (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

/// D, and its p by the limit distribution.
fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> (f64, f64) {
    let (a, b) = (sorted(a), sorted(b));
    let share = |sample: &[f64], most: f64| {
        sample.partition_point(|x| *x <= most) as f64 / sample.len() as f64
    };
    let distance = |x: &f64| (share(&a, *x) - share(&b, *x)).abs();
    let d = a.iter().chain(&b).map(distance).fold(0.0, f64::max);
    let (n, m) = (a.len() as f64, b.len() as f64);
    let lambda = d * (n * m / (n + m)).sqrt();
    let term = |k: f64| (-1.0_f64).powf(k - 1.0) * (-2.0 * k * k * lambda * lambda).exp();
    let p = match lambda < 0.2 {
        // The series does not converge there, and p is 1 in all places that are printed.
        true => 1.0,
        false => 2.0 * (1..=100).map(|k| term(f64::from(k))).sum::<f64>(),
    };
    (d, p.clamp(0.0, 1.0))
}

/// The chance of a normal deviate at least that far from zero. Abramowitz and Stegun, 7.1.26: right
/// to 1.5e-7.
fn two_sided(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let coefficients = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let polynomial = coefficients.iter().fold(0.0, |sum, c| (sum + c) * t);
    polynomial * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(value: f64, expected: f64, error: f64) {
        assert!(
            (value - expected).abs() < error,
            "{value} is not {expected}"
        );
    }

    #[test]
    fn normal_tails() {
        for (z, p) in [
            (0.0, 1.0),
            (1.0, 0.317_311),
            (-1.959_964, 0.05),
            (3.0, 0.002_700),
        ] {
            assert_close(two_sided(z), p, 1e-6);
        }
    }

    #[test]
    fn the_middle() {
        assert_close(median(&[3.0, 1.0, 2.0]), 2.0, 1e-12);
        assert_close(median(&[4.0, 1.0, 2.0, 3.0]), 2.5, 1e-12);
    }

    /// Each by hand.
    #[test]
    fn statistics_of_small_samples() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 5.0, 6.0]);
        // Means 2.5 and 4.5, variances 5/3 each: -2 / sqrt(5/12 + 5/12).
        assert_close(welch(&a, &b), -2.0 / (5.0_f64 / 6.0).sqrt(), 1e-12);
        // Ranks 1, 2, 3.5, 5.5 make 12, so U is 2; it is expected to be 8 with a variance of 12.
        assert_close(mann_whitney(&a, &b), -6.0 / 12.0_f64.sqrt(), 1e-12);
        // At 2, half of the one and none of the other.
        assert_close(kolmogorov_smirnov(&a, &b).0, 0.5, 1e-12);
    }

    /// The limit distribution's well-known quantiles: 1.36 at 5 %, 1.63 at 1 %.
    #[test]
    fn chances_of_distances() {
        let grid = |shift: f64| (0..1_000).map(|x| f64::from(x) + shift).collect::<Vec<_>>();
        for (lambda, p) in [(1.358_f64, 0.05), (1.628, 0.01)] {
            let d = lambda / 500.0_f64.sqrt();
            let (found, chance) = kolmogorov_smirnov(&grid(0.0), &grid((d * 1_000.0).round()));
            assert_close(found, d, 1e-3);
            assert_close(chance, p, 5e-3);
        }
        assert_close(kolmogorov_smirnov(&grid(0.0), &grid(0.0)).1, 1.0, 1e-12);
    }

    #[test]
    fn one_distribution_is_not_told_apart_and_two_are() {
        // Van der Corput's sequence fills the interval evenly; its halves are alike.
        let even = |n: u32| f64::from(n.reverse_bits()) / f64::from(u32::MAX);
        let a: Vec<f64> = (0..512).map(even).collect();
        let b: Vec<f64> = (512..1_024).map(even).collect();
        assert!(Comparison::of(&a, &b).least_p() > 0.9);
        let shifted: Vec<f64> = b.iter().map(|x| x + 0.1).collect();
        let apart = Comparison::of(&a, &shifted);
        assert!(
            apart.t_p < 1e-5 && apart.u_p < 1e-5 && apart.d_p < 0.05,
            "{apart:?}"
        );
    }
}
