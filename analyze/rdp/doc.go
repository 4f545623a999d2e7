// Package rdp holds the rules about Remote Desktop: the certificates of
// Terminal Services, the licences of its clients, the settings of its
// listeners, what failed repairs leave behind, and the state of the hives
// themselves.
//
// [Rules] is the list; each rule stands in the file of its subject, and its
// page for people under explain/. [Decode] and [DecodeAt] give the meaning of
// a value field by field.
//
// Rules only look. What they propose is data, and whatever Microsoft's
// articles leave to a person stays a manual step. The contents of RCM\Secrets
// and RCM\GracePeriod are never read, and no edit ever names them.
package rdp
