packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = "1.3.7" # exactly: the content that `plan` names an image by includes this line, and so what bakes it
    }
  }
}
