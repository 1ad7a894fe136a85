// The strategies moved to model/, where every room finds them; this name remains until the
// last includer uses the other one.
#pragma once

#include "model/cache_strategy.h"
