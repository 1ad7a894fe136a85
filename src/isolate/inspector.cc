#include "isolate/inspector.h"

#include <utility>

namespace warmset {

StatusOr<Inspected> Inspector::InspectFile(int fd, const std::string& name) {
  ASSIGN_OR_RETURN(PassedModel model, PassedModel::Of(fd, name));
  return Inspect(model.files(), model);
}

StatusOr<Inspected> InProcessInspector::Inspect(const ModelFiles& model, FileProvider& files) {
  Inspected inspected;
  ASSIGN_OR_RETURN(inspected.encoded, InspectModel(model, files));
  ASSIGN_OR_RETURN(inspected.manifest, DecodeManifest(inspected.encoded));
  return inspected;
}

StatusOr<std::vector<std::string>> InProcessInspector::ShardsOf(int index_fd) {
  return ReadNamedFiles(index_fd);
}

StatusOr<HubTree> InProcessInspector::TreeOf(int tree_fd) { return ReadHubTree(tree_fd); }

}  // namespace warmset
