/// `N` bytes from the operating system's generator, by way of AWS-LC.
///
/// # Panics
///
/// When the generator fails, which AWS-LC itself treats as fatal.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random generator works");
    bytes
}
