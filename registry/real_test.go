package registry

import (
	"testing"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestARealMLflowKeepsTheContract(t *testing.T) {
	contract(t, clientOf(t, rig.MLflow(t).URL, nil))
}
