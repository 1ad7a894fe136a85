#include "discover/sighting.h"

#include "base/byte_reader.h"

namespace warmset {

void AddFindings(const Sighting& sighting, Manifest& manifest) {
  if (sighting.model.files.empty()) {
    manifest.layout = sighting.model.layout;
    manifest.kind = "model";
  }
  manifest.findings.insert(manifest.findings.end(), sighting.findings.begin(),
                           sighting.findings.end());
}

Verdict VerdictOf(const ScanFinding& finding) {
  switch (finding.code) {
    case ErrorCode::kUnsafeModel:
      return Verdict::kUnsafe;
    case ErrorCode::kCorruptedModel:
      return Verdict::kCorrupt;
    case ErrorCode::kAccessRestricted:
      return Verdict::kRestricted;
    case ErrorCode::kIncompleteModel:
      return Verdict::kIncomplete;
    case ErrorCode::kUnsupportedFormat:
      return Verdict::kUnsupported;
    case ErrorCode::kUnrecognizedFormat:
      return Verdict::kUnrecognized;
    default:
      return Verdict::kOk;
  }
}

void SetRevision(Sighting& sighting) {
  ByteWriter out;
  out.Write(static_cast<uint8_t>(sighting.model.layout));
  out.WriteString(sighting.model.folder_kind);
  for (const ManifestFile& file : sighting.model.files) {
    out.WriteString(file.path);
    out.WriteString(file.claimed_hash);
    out.Write(file.identity.device);
    out.Write(file.identity.inode);
    out.Write(file.identity.size);
    out.Write(file.identity.mtime_ns);
    out.Write(file.identity.ctime_ns);
  }
  if (!sighting.version.empty()) out.WriteString(sighting.version);
  for (const Finding& finding : sighting.findings) {
    out.WriteString(finding.path);
    out.Write(static_cast<uint8_t>(finding.verdict));
    out.WriteString(finding.message);
  }
  sighting.revision = DigestOf<RevisionId>(AsBytes(out.data()));
}

}  // namespace warmset
