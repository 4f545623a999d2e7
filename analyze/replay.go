package analyze

import "slices"

// CompareReplay returns after, the result of a machine whose transaction logs
// were applied, with what the logs changed about it: findings that hold only
// since say so, and findings that held only before, in the machine as it lay,
// are added as notes without a fix. The facts are in evidence.replay,
// "only-after" or "only-before".
func CompareReplay(before, after Result) Result {
	after.Findings = slices.Clone(after.Findings)
	for i := range after.Findings {
		f := &after.Findings[i]
		if !has(before.Findings, f.Fingerprint) {
			f.Evidence = slices.Clone(f.Evidence)
			f.Evidence.Set("replay", "only-after")
			f.Message += " It holds only since the transaction logs were applied."
		}
	}
	for _, f := range before.Findings {
		// Pending logs are what replay is there to end.
		if f.Rule != "HIVE-UNREPLAYED" && !has(after.Findings, f.Fingerprint) {
			f.Severity, f.Fix, f.ManualSteps = Note, nil, []string{}
			f.Evidence = slices.Clone(f.Evidence)
			f.Evidence.Set("replay", "only-before")
			f.Message += " That was so before the transaction logs were applied, and is so no longer."
			after.Findings = append(after.Findings, f)
		}
	}
	return after
}

func has(findings []Finding, fingerprint string) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Fingerprint == fingerprint })
}
