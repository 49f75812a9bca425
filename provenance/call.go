package provenance

import "time"

// CallWindow is the calls of one credential on one endpoint in one stretch of
// time, as a log, a gateway or the source's own headers counted them. Limit,
// Remaining and Records are -1 where they are not known.
type CallWindow struct {
	Credential CredentialLabel `json:"credential"`
	Endpoint   string          `json:"endpoint,omitempty"`
	Start      time.Time       `json:"start"`
	Seconds    int64           `json:"seconds"` // above 0
	Calls      int64           `json:"calls"`
	OK         int64           `json:"ok"`        // answered with content
	Throttled  int64           `json:"throttled"` // answered with 429
	Limit      int64           `json:"limit"`     // of the scope's own window, as the headers said
	Remaining  int64           `json:"remaining"` // the least that the headers said in the window
	Reset      time.Time       `json:"reset,omitzero"`
	Counters   int64           `json:"counters,omitempty"` // at least so many, by the headers of the single calls (see Counters); 0: not known
	Records    int64           `json:"records"`
	Job        string          `json:"job,omitempty"`
}

// Until is the window's end, which is not part of it.
func (w *CallWindow) Until() time.Time { return w.Start.Add(time.Duration(w.Seconds) * time.Second) }

// CallBatch is a file of call windows. The windows lie beside the facts, in a
// table of the store; the batch commits to them by Root.
type CallBatch struct {
	ID          string            `json:"id"`
	File        string            `json:"file,omitempty"` // base name
	Digest      string            `json:"digest"`         // SHA-256 of that file, hex
	Form        string            `json:"form,omitempty"` // windows, or the log form they were rolled up from
	Windows     int64             `json:"windows"`
	Calls       int64             `json:"calls"`
	Throttled   int64             `json:"throttled"`
	Records     int64             `json:"records"` // known ones
	Period      Period            `json:"period,omitzero"`
	Credentials []CredentialLabel `json:"credentials"`
	Root        string            `json:"root"` // RFC 6962 root over the windows' canonical encodings, hex
	Table       string            `json:"table"`
}
