//! Findings that the policy's authors have considered and accepted.

use jiff::civil::Date;

use crate::policy::file::Acknowledgement;
use crate::policy::finding::{Code, Finding, Weight};
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;

const MATCHES_NOTHING: Code = Code(221);
const CANNOT_BE: Code = Code(238);

/// Marks the findings that `acknowledge` speaks of, and adds what is wrong with the acknowledgements themselves. To be given
/// all findings of a policy; those about the difference of two policies are acknowledged where the difference is made.
pub fn acknowledge(policy: &Policy, findings: Vec<Finding>, today: Date) -> Vec<Finding> {
    let mut findings = findings;
    let mut faults = Vec::new();
    for (index, written) in policy.file.acknowledge.iter().enumerate() {
        let Ok(code) = written.finding.0.parse::<Code>() else { continue };
        let path = PolicyPath::from(["acknowledge"]).item(index);
        faults.extend(apply(written, code, &path, &mut findings, today));
    }
    findings.append(&mut faults);
    findings
}

fn apply(written: &Acknowledgement, code: Code, path: &PolicyPath, findings: &mut [Finding], today: Date) -> Option<Finding> {
    let over = written.until.filter(|until| until.0 <= today);
    let (mut matches, mut refused) = (false, code.0 < 200);
    let meant =
        findings.iter_mut().filter(|finding| finding.code == code && written.at.as_deref().is_none_or(|at| finding.path.lies_in(at)));
    for finding in meant {
        if finding.weight == Weight::Error && is_structural(code) {
            refused = true;
            continue;
        }
        matches = true;
        match over {
            Some(until) => finding.related.push(crate::policy::finding::Related {
                path: path.key("until"),
                place: None,
                message: format!("was acknowledged until {}", until.0),
            }),
            None if finding.acknowledged.is_none() => finding.acknowledged = Some(written.reason.clone()),
            None => {}
        }
    }
    if refused {
        let message = format!("{code} cannot be acknowledged: with it the policy has no meaning");
        return Some(Finding::error(CANNOT_BE, path.key("finding"), message).hint("Mend what it reports, then take this out."));
    }
    if matches || is_of_difference(code) {
        return None;
    }
    let place = written.at.as_ref().map_or(String::new(), |at| format!(" at `{}`", crate::units::clipped(at)));
    let hint = "Take it out: what it accepted is gone, and it would hide the next one.";
    Some(Finding::warning(MATCHES_NOTHING, path.clone(), format!("there is no {code}{place} to acknowledge")).on_key().hint(hint))
}

/// The policy cannot be read as it is meant: there is nothing that could be accepted.
fn is_structural(code: Code) -> bool {
    code.0 < 310 || matches!(code.0, 406 | 506)
}

fn is_of_difference(code: Code) -> bool {
    (900..1000).contains(&code.0)
}
